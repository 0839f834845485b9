// A class has the same colour on every page: by its place in its label set, which never changes, else by its name.

import type { Question } from "./model";

interface Colour { hue: number; light: number }

const places = new Map<string, number>();

/** Learn the label sets: of a name that stands in several, the first question's counts. */
export function learnColours(questions: Question[]) {
  for (const { labels } of questions) labels.forEach(({ id }, place) => { if (!places.has(id)) places.set(id, place); });
}

function colourFrom(name: string): Colour {
  let place = places.get(name);
  if (place === undefined) {
    let hash = 0x811c9dc5; // FNV-1a
    for (const code of new TextEncoder().encode(name)) hash = Math.imul(hash ^ code, 0x01000193) >>> 0;
    place = hash;
  }
  // The golden angle keeps neighbours apart; after a round they differ in how light they are.
  return { hue: (210 + place * 137.508) % 360, light: [0.52, 0.66, 0.4][Math.floor(place / 8) % 3] };
}

const SATURATION = 0.85;

export const colourOf = (name: string): string => {
  const { hue, light } = colourFrom(name);
  return `hsl(${hue.toFixed(0)} ${SATURATION * 100}% ${light * 100}%)`;
};

export function rgbOf(name: string): [number, number, number] {
  const { hue, light } = colourFrom(name);
  const chroma = SATURATION * Math.min(light, 1 - light);
  const part = (n: number) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}
