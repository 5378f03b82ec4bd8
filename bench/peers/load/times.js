// Times in ms, and what of them is told.
export class Times {
  #samples = [];

  add(sample) {
    this.#samples.push(sample);
  }

  get summary() {
    const sorted = Float64Array.from(this.#samples).sort();
    const at = (share) =>
      sorted.length ? sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] : null;
    return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), most: at(1) };
  }
}
