/** CRC-32 (IEEE) of a text as UTF-16, little endian, without a byte order mark (U6). */
export function crc32(pieces: Iterable<string>): number {
  let crc = ~0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) {
      const unit = piece.charCodeAt(i);
      crc = (crc >>> 8) ^ entry(crc ^ unit);
      crc = (crc >>> 8) ^ entry(crc ^ (unit >>> 8));
    }
  }
  return ~crc >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function entry(value: number): number {
  return TABLE[value & 0xff] as number;
}
