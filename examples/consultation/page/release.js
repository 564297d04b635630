/**
 * What a release adds to the page. The first one adds nothing.
 * @returns {{ people(forMs: number | null): void, line(item: HTMLElement, line: { atMs: number | null }): void }}
 */
export function additions() {
  return { people() {}, line() {} };
}
