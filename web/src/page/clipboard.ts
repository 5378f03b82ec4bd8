/** Copies a text. Where the page is not served by https or localhost, in the way of old. */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const former = document.activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "unseen";
  // Within an open dialog or popover, nothing outside of it can be selected.
  (former?.parentElement ?? document.body).append(box);
  box.select();
  const copied = document.execCommand("copy");
  box.remove();
  if (former instanceof HTMLElement) former.focus();
  if (!copied) throw new Error("the browser does not let the page copy");
}
