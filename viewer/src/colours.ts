// A class has the same colour on every page and every day: it is made of its name.

export function hueOf(name: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const code of new TextEncoder().encode(name)) hash = Math.imul(hash ^ code, 0x01000193) >>> 0;
  // The golden angle keeps neighbours apart.
  return (hash * 137.508) % 360;
}

export const colourOf = (name: string): string => `hsl(${hueOf(name).toFixed(0)} 85% 55%)`;

export function rgbOf(name: string): [number, number, number] {
  const hue = hueOf(name), saturation = 0.85, light = 0.55;
  const chroma = saturation * Math.min(light, 1 - light);
  const part = (n: number) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}
