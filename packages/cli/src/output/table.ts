import type { Paint, Style } from "./paint.ts";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut short, with an ellipsis, where the terminal is too narrow. */
  readonly shrinks?: boolean;
}

/** Text, or text with a style. */
export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = "  ";
/** A column that is cut keeps this much: less tells nothing. */
const LEAST_WIDTH = 8;

/**
 * Aligned columns, under their titles where any has one.
 * @param width columns of the terminal; undefined: as wide as it takes, so that nothing is hidden from a pipe
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
  width?: number,
): string[] {
  const clean = rows.map((row) => row.map((cell) => ({ text: printable(textOf(cell)), style: styleOf(cell) })));
  const titled = columns.some(({ title }) => title !== "");
  const head = titled ? [columns.map(({ title }): Styled => ({ text: title, style: "bold" }))] : [];
  const all = [...head, ...clean];
  const widths = fitted(
    columns,
    columns.map((_, index) => Math.max(0, ...all.map((row) => lengthOf(row[index]?.text ?? "")))),
    width,
  );
  return all.map((row) =>
    columns
      .map((column, index) => {
        const { text, style } = row[index] ?? { text: "", style: undefined };
        const shown = cut(text, widths[index] ?? 0);
        const pad = " ".repeat(Math.max(0, (widths[index] ?? 0) - lengthOf(shown)));
        const painted = style && shown !== "" ? paint(style, shown) : shown;
        return column.align === "right" ? pad + painted : painted + pad;
      })
      .join(GAP)
      .trimEnd(),
  );
}

interface Styled {
  readonly text: string;
  readonly style: Style | undefined;
}

function fitted(columns: readonly Column[], natural: readonly number[], width: number | undefined): number[] {
  const widths = [...natural];
  if (width === undefined) return widths;
  let over = widths.reduce((sum, next) => sum + next, 0) + GAP.length * (columns.length - 1) - width;
  while (over > 0) {
    const widest = columns.reduce(
      (best, column, index) =>
        column.shrinks && (widths[index] ?? 0) > LEAST_WIDTH && (widths[index] ?? 0) > (widths[best] ?? 0)
          ? index
          : best,
      -1,
    );
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
  return widths;
}

/**
 * Text that moves no cursor: a session key comes from a client, who could otherwise write over an operator's screen.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\u{FFFD}");
}

const SEGMENTER = new Intl.Segmenter();

/** Cuts to a number of characters, the last an ellipsis. */
export function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  const characters = Array.from(SEGMENTER.segment(text), ({ segment }) => segment);
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** Characters as a person counts them. */
function lengthOf(text: string): number {
  // Printable ASCII, which nearly everything is, is as long as its code units.
  return /^[\x20-\x7e]*$/.test(text) ? text.length : Array.from(SEGMENTER.segment(text)).length;
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

function styleOf(cell: Cell): Style | undefined {
  return typeof cell === "string" ? undefined : cell.style;
}
