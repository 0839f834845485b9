// An array as a heat map: its small picture is grey, black the least and white the greatest value.

import { useEffect, useRef } from "preact/hooks";
import type { Preview } from "./model";

// Viridis at nine places (Smith and van der Walt 2015): equally bright steps, also for eyes that see fewer colours.
const VIRIDIS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];

export function heatOf(share: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1), below = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return VIRIDIS[below].map((low, part) => Math.round(low + (VIRIDIS[below + 1][part] - low) * (at - below))) as [number, number, number];
}

const said = (value: number): string => String(Number(value.toPrecision(5)));

/** `scale`: the values that the ends of the colours stand for are written beside it. A curve stays as it is. */
export function Heat({ preview, url, title, scale }: { preview: Preview; url: string; title: string; scale?: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { low, high } = preview;
  const isMap = low != null && high != null;
  useEffect(() => {
    if (!isMap) return;
    const picture = new Image();
    let here = true;
    picture.onload = () => {
      const target = canvas.current;
      if (!here || !target) return;
      target.width = picture.naturalWidth;
      target.height = picture.naturalHeight;
      const context = target.getContext("2d")!;
      context.drawImage(picture, 0, 0);
      const pixels = context.getImageData(0, 0, target.width, target.height);
      for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(heatOf(pixels.data[at] / 255), at);
      context.putImageData(pixels, 0, 0);
      target.dataset.drawn = "1";
    };
    picture.src = url;
    return () => { here = false; };
  }, [url, isMap]);
  if (!isMap) return <img src={url} alt={title} class="wave" />;
  return (
    <>
      <canvas ref={canvas} role="img" aria-label={`${title}: from ${said(low)} to ${said(high)}`} class="pixels heat" />
      {scale && (
        <div class="scale"><span>{said(low)}</span><span class="ramp" aria-hidden="true" style={{ background: `linear-gradient(to right, ${VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ")})` }} /><span>{said(high)}</span></div>
      )}
    </>
  );
}
