/** How charts on a canvas look where they are on the page, in the theme that is shown: a canvas knows no tokens. */
export interface PlotLook {
  /** What a token stands for; by a class that gives it its meaning, where it needs one. */
  readonly colour: (token: string, percent?: number, className?: string) => string;
  readonly axis: {
    readonly stroke: string;
    readonly font: string;
    readonly grid: { readonly stroke: string; readonly width: number };
    readonly ticks: { readonly show: boolean };
    readonly gap: number;
    readonly filter: (plot: unknown, splits: number[]) => number[];
  };
  /** Sets a canvas up for names in a chart. */
  readonly lettering: (context: CanvasRenderingContext2D) => void;
}

const SIZE_PX = 11;

export function lookOf(element: HTMLElement): PlotLook {
  const { fontFamily } = getComputedStyle(element);
  const colour: PlotLook["colour"] = (token, percent = 100, className = "") => {
    const probe = document.createElement("i");
    probe.className = className;
    probe.style.color = `color-mix(in srgb, var(${token}) ${percent}%, transparent)`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
  return {
    colour,
    axis: {
      stroke: colour("--text-quiet"),
      font: `${SIZE_PX}px ${fontFamily}`,
      grid: { stroke: colour("--line", 60), width: 1 },
      ticks: { show: false },
      gap: 6,
      // Left to itself it keeps few of them on an axis that is narrow.
      filter: (_, splits) => splits,
    },
    lettering: (context) => {
      context.font = `600 ${SIZE_PX * devicePixelRatio}px ${fontFamily}`;
      context.fillStyle = colour("--text");
      context.textBaseline = "middle";
    },
  };
}
