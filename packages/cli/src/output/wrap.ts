/**
 * Breaks a line of prose between words, each line after the first indented.
 * @param width columns of the terminal; undefined: one line, so that a script can search it
 */
export function wrapped(text: string, indent: string, width: number | undefined): string[] {
  if (width === undefined) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width || line.trim() === "") line = longer;
    else {
      lines.push(line);
      line = `${indent}${word}`;
    }
  }
  return [...lines, line];
}
