import { serviceDefinition, type KeyPlace } from "@holdover/core";

/** What {@link readKeyPlaces} takes, for a person. */
export const KEY_PLACES_FORM = "?room, /rooms/:room, header x-room or cookie room; several with commas";

type ReadPlaces = { readonly places: readonly KeyPlace[] } | { readonly problem: string };

/** Reads where requests carry their session key, as a person writes it; "none" and nothing at all are no place. */
export function readKeyPlaces(text: string): ReadPlaces {
  const places: KeyPlace[] = [];
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "" || part === "none") continue;
    const place = placeIn(part);
    if (!place) return { problem: `"${part}" names no place in a request. Write ${KEY_PLACES_FORM}, or none.` };
    const { error } = serviceDefinition.safeParse({ command: "x", session: { key: [place] } });
    if (error) return { problem: `"${part}" cannot be: ${error.issues[0]?.message ?? "it is not allowed"}.` };
    places.push(place);
  }
  return { places };
}

function placeIn(text: string): KeyPlace | undefined {
  if (text.startsWith("/")) return { path: text };
  const query = /^(?:\?|query\s+)([^\s?&=#]+)=?$/.exec(text)?.[1];
  if (query) return { query };
  const header = /^header\s+(\S+)$/i.exec(text)?.[1];
  if (header) return { header: header.toLowerCase() };
  const cookie = /^cookie\s+(\S+)$/i.exec(text)?.[1];
  return cookie ? { cookie } : undefined;
}

/** A place as a person writes it. */
export function keyPlaceText(place: KeyPlace): string {
  if ("query" in place) return `?${place.query}`;
  if ("path" in place) return place.path;
  return "header" in place ? `header ${place.header}` : `cookie ${place.cookie}`;
}
