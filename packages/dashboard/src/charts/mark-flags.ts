/** Names above the picture, where releases took over: as many as have room, the newest first. */

export interface Flag {
  readonly x: number;
  readonly text: string;
}

const MOST_CHARACTERS = 16;
/** Roughly, of the face in which they are set. */
const CHARACTER_PX = 7.2;
const BETWEEN_PX = 10;

/**
 * @param names in order of time
 * @param untilX nothing may reach beyond it
 * @returns a text for each name; undefined where there is no room
 */
export function flagTexts(names: readonly Flag[], fromX: number, untilX: number): (string | undefined)[] {
  const texts: (string | undefined)[] = names.map(() => undefined);
  let free = untilX;
  for (let index = names.length - 1; index >= 0; index--) {
    const { x, text } = names[index]!;
    const shown = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text;
    const half = (shown.length * CHARACTER_PX) / 2;
    if (x + half > free || x - half < fromX) continue;
    texts[index] = shown;
    free = x - half - BETWEEN_PX;
  }
  return texts;
}
