// Sound, video and text, with what is said of their seconds, frames and characters.

import { useEffect, useRef, useState } from "preact/hooks";
import { colourOf } from "./colours";
import type { Answer, Preview, Region } from "./model";
import type { Source } from "./source";
import { type Hidden, regionsOf, Shape } from "./stage";

interface Played {
  source: Source; id: string; preview: Preview; url: string; answers: Answer[]; hidden: Hidden;
  /** Frames a second; 0 or undefined: not known. */
  rate?: number;
}

/** Space plays and stops, arrows go a second on or back, `,` and `.` one step. */
function playedBy(player: { current: HTMLMediaElement | null }, step: number, go?: (by: number) => void) {
  return (event: KeyboardEvent) => {
    const media = player.current;
    if (!media || (event.target as Element).closest("video, audio, button") || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = ({ ArrowLeft: -1, ArrowRight: 1, ",": -step, ".": step } as Record<string, number>)[event.key];
    if (go && (event.key === "," || event.key === ".")) go(event.key === "," ? -1 : 1);
    else if (by !== undefined) { media.pause(); media.currentTime = Math.max(0, media.currentTime + by); }
    else if (event.key === " ") media.paused ? media.play().catch(() => undefined) : media.pause();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

export function Sound({ source, id, preview, url, answers, hidden }: Played) {
  const player = useRef<HTMLAudioElement>(null);
  const [time, setTime] = useState(0);
  const [played, setPlayed] = useState(0);
  const length = played || preview.seconds || 0;
  const spectrogram = source.spectrogram(id);
  const said = regionsOf(answers, hidden).filter(({ region }) => region.seconds);
  const jump = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    if (player.current && length) player.current.currentTime = ((event.clientX - box.left) / box.width) * length;
  };
  const share = (seconds: number) => `${length ? (seconds / length) * 100 : 0}%`;
  return (
    <div class="sound" data-length={length} tabIndex={0} role="group" aria-label={`sound ${id.slice(0, 12)}; space plays, arrows go a second on or back`}
      onKeyDown={playedBy(player, 0.1)}>
      {[["waveform", url], ["spectrogram", spectrogram]].map(([name, address]) => address && (
        <div key={name} class="band" onClick={jump}>
          <img src={address} alt={name!} class={name!} />
          {said.map(({ region }, key) => (
            <span key={key} class="interval" title={region.label} style={{
              left: share(region.seconds![0]), width: share(region.seconds![1] - region.seconds![0]), background: colourOf(region.label ?? ""),
            }} />
          ))}
          <span class="cursor" style={{ left: share(time) }} />
        </div>
      ))}
      <div class="axis">{[0, 0.25, 0.5, 0.75, 1].map((part) => <span key={part}>{(part * length).toFixed(2)} s</span>)}</div>
      {said.length > 0 && (
        <p class="line">{said.map(({ region, answer }, key) => (
          <button key={key} class="small" title={answer.actor_id} onClick={() => { if (player.current) player.current.currentTime = region.seconds![0]; }}>
            <i style={{ background: colourOf(region.label ?? "") }} />{region.label} {region.seconds!.map((at) => at.toFixed(2)).join(" to ")} s
          </button>
        ))}</p>
      )}
      {!url || source.spectrogram(id) !== null ? (
        <audio ref={player} controls src={source.media(id)} preload="metadata" aria-label="sound"
          onLoadedMetadata={(event) => setPlayed(event.currentTarget.duration)} onTimeUpdate={(event) => setTime(event.currentTarget.currentTime)} />
      ) : null}
    </div>
  );
}

/** When each frame is shown: as it was looked up, else by the rate; null: not known. */
type Clock = (frame: number) => number | null;

/** Of each region that moves on a line the next shape of its track, where it is then. */
function following(said: { region: Region; answer: Answer }[]): Map<Region, Region> {
  const tracks = new Map<string, Region[]>(), found = new Map<Region, Region>();
  for (const { region, answer } of said) {
    const track = `${answer.opinion_id} ${region.track_id}`; // two actors may call theirs the same
    if (region.track_id && region.frames) tracks.set(track, [...(tracks.get(track) ?? []), region]);
  }
  for (const shapes of tracks.values()) {
    shapes.sort((one, other) => one.frames![0] - other.frames![0]);
    shapes.forEach((region, place) => { if (region.moves && shapes[place + 1]) found.set(region, shapes[place + 1]); });
  }
  return found;
}

/** A region as it is in a frame: on the line between what was stated, as `lakehouse.opinions.geometry.tracks` has it. */
function atFrame(region: Region, next: Region | undefined, frame: number | null): Region {
  if (!next || frame === null) return region;
  const start = region.frames![0], share = (frame - start) / (next.frames![0] - start);
  if (!(share > 0 && share < 1)) return region;
  const between = (one: number, other: number) => one + (other - one) * share;
  const moved: Region = { ...region };
  for (const side of ["x", "y", "w", "h"] as const)
    if (region[side] != null && next[side] != null) moved[side] = between(region[side], next[side]);
  if (region.angle || next.angle) {
    const turn = ((((next.angle ?? 0) - (region.angle ?? 0) + 180) % 360) + 360) % 360 - 180; // the shorter way round
    moved.angle = (region.angle ?? 0) + turn * share;
  }
  const [ours, theirs] = [region.rings, next.rings];
  if (ours && theirs && ours.flat().length === theirs.flat().length) {
    const ends = theirs.flat();
    let at = 0;
    moved.rings = ours.map((ring) => ring.map(([x, y]) => { const [to, down] = ends[at++]; return [between(x, to), between(y, down)]; }));
  }
  if (region.keypoints && next.keypoints?.length === region.keypoints.length)
    moved.keypoints = region.keypoints.map(([x, y, v], place) => [between(x, next.keypoints![place][0]), between(y, next.keypoints![place][1]), v]);
  return moved;
}

/** Seconds in which a region is there: the last of its frames is shown until the next begins. */
function spanOf(region: Region, clock: Clock): [number, number] | null {
  if (region.seconds) return region.seconds;
  if (!region.frames) return null;
  const [start, end] = [clock(region.frames[0]), clock(region.frames[1] + 1)];
  return start === null ? null : [start, end ?? Infinity];
}

export function Film({ source, id, answers, hidden, rate = 0 }: Played) {
  const player = useRef<HTMLVideoElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0, length: 0 });
  const [time, setTime] = useState(0);
  const [starts, setStarts] = useState<number[]>([]);
  const said = regionsOf(answers, hidden);
  const asksFrames = said.some(({ region }) => region.frames && !region.seconds);
  useEffect(() => {
    let here = true;
    setStarts([]);
    // Without them the rate tells, if it is known: frames that follow one another evenly are right by it too.
    if (asksFrames) source.page<{ seconds: number[] }>("frames", { id }).then((found) => here && setStarts(found.seconds), () => undefined);
    return () => { here = false; };
  }, [id, asksFrames]);
  const clock: Clock = (frame) => (starts.length ? starts[frame] ?? null : rate ? frame / rate : null);
  const spans = said.map(({ region }) => spanOf(region, clock));
  const next = following(said);
  const frameAt = (time: number) => (starts.length ? starts.filter((start) => start <= time + 1e-3).length - 1 : rate ? Math.round(time * rate) : null);
  const now = frameAt(time);
  const untimed = said.filter(({ region }, key) => region.frames && !spans[key]).length;
  const isThere = (key: number) => {
    const span = spans[key];
    if (!span) return !said[key].region.frames;
    return said[key].region.seconds ? time >= span[0] && time <= span[1] : time >= span[0] - 1e-3 && time < span[1] - 1e-3;
  };
  const drawn = said.flatMap(({ region }, key) => (isThere(key) ? [{ key, region: atFrame(region, next.get(region), now) }] : []));
  useEffect(() => {
    const film = player.current!;
    // Every frame that is shown, and its own time: not the few times a second of `timeupdate`.
    let ticket = 0;
    const tick = (_: number, shown?: { mediaTime: number }) => { setTime(shown?.mediaTime ?? film.currentTime); ticket = film.requestVideoFrameCallback(tick); };
    if ("requestVideoFrameCallback" in film) ticket = film.requestVideoFrameCallback(tick);
    return () => film.cancelVideoFrameCallback?.(ticket);
  }, [id]);
  const jump = (to: number) => { player.current!.pause(); player.current!.currentTime = Math.min(size.length, Math.max(0, to)); };
  const frame = 1 / (rate || 25);
  // A little into the frame: at its very start a browser may still show the one before.
  const step = (by: number) => {
    const start = now === null ? null : clock(now + by);
    jump(start === null ? time + by * frame : start + 0.3 * frame);
  };
  // One line for each track, or each class of what is in none, with the seconds in which it is there.
  const lines = new Map<string, number[]>();
  said.forEach(({ region }, key) => {
    if (!spans[key]) return;
    const name = region.track_id ? `${region.label ?? ""} ${region.track_id}`.trim() : region.label ?? "";
    lines.set(name, [...(lines.get(name) ?? []), key]);
  });
  return (
    <div class="film" tabIndex={0} role="group" aria-label={`video ${id.slice(0, 12)}; space plays, arrows go a second, comma and point a frame`}
      onKeyDown={playedBy(player, frame, step)} data-frame={now ?? undefined}>
      <div class="screen">
        <video ref={player} controls preload="metadata" src={source.media(id)} aria-label="video"
          onTimeUpdate={(event) => { if (!("requestVideoFrameCallback" in event.currentTarget)) setTime((event.currentTarget as HTMLVideoElement).currentTime); }}
          onLoadedMetadata={(event) => setSize({ width: event.currentTarget.videoWidth, height: event.currentTarget.videoHeight, length: event.currentTarget.duration })} />
        {size.width > 0 && (
          <svg viewBox={`0 0 ${size.width} ${size.height}`} class="over" aria-hidden="true">
            {drawn.map(({ region, key }) => <Shape key={key} region={region} />)}
            {drawn.map(({ region, key }) => region.x != null && region.y != null && (
              <text key={key} x={region.x} y={Math.max(region.y, size.width / 30)} font-size={size.width / 32} class="label" stroke-width={size.width / 220}
                fill={colourOf(region.label ?? "")}>{region.label} {region.track_id}</text>
            ))}
          </svg>
        )}
      </div>
      {untimed > 0 && <p class="quiet">{untimed.toLocaleString("en")} regions are of frames by number, whose time is not known here: they are not drawn</p>}
      {[...lines].slice(0, MOST_LINES).map(([name, keys]) => (
        <div key={name} class="track"><span class="who">{name || "(no label)"}</span>
          <span class="band thin">
            {joined(keys.map((key) => spans[key]!)).map(([start, end]) => (
              <button key={start} class="interval" title={`${start.toFixed(2)} to ${Math.min(end, size.length).toFixed(2)} s`} aria-label={`${name}: to ${start.toFixed(2)} s`} style={{
                left: `${(start / (size.length || 1)) * 100}%`, width: `${((Math.min(end, size.length) - start) / (size.length || 1)) * 100}%`,
                background: colourOf(said[keys[0]].region.label ?? ""),
              }} onClick={() => jump(start + 0.3 * frame)} />
            ))}
            <span class="cursor" style={{ left: `${(time / (size.length || 1)) * 100}%` }} />
          </span>
        </div>
      ))}
      {lines.size > MOST_LINES && <p class="quiet">and {(lines.size - MOST_LINES).toLocaleString("en")} tracks more</p>}
      <p class="line">
        <button class="small" onClick={() => jump(time - 1)}>1 s back</button>
        <button class="small" onClick={() => step(-1)}>a frame back</button>
        <span>{time.toFixed(2)} of {size.length.toFixed(2)} s{now !== null ? `, frame ${now}` : ""}</span>
        <button class="small" onClick={() => step(1)}>a frame on</button>
        <button class="small" onClick={() => jump(time + 1)}>1 s on</button>
      </p>
    </div>
  );
}

const MOST_LINES = 30;

/** Stretches without those that only go on where another ends. */
function joined(spans: [number, number][]): [number, number][] {
  const found: [number, number][] = [];
  for (const [start, end] of [...spans].sort((one, other) => one[0] - other[0])) {
    const last = found.at(-1);
    if (last && start <= last[1] + 1e-3) last[1] = Math.max(last[1], end);
    else found.push([start, end]);
  }
  return found;
}

/** A text with its spans. Spans may overlap: the text is cut at every end of one. */
export function Words({ text, answers, hidden }: { text: string; answers: Answer[]; hidden: Hidden }) {
  const spans = regionsOf(answers, hidden).filter(({ region }) => region.characters);
  const characters = [...text]; // code points, as Python counts them
  const beyond = spans.filter(({ region }) => region.characters![1] > characters.length).length;
  const cuts = [...new Set([0, characters.length, ...spans.flatMap(({ region }) => region.characters!)])]
    .filter((cut) => cut >= 0 && cut <= characters.length).sort((one, other) => one - other);
  return (
    <>
    <pre class="words">
      {cuts.slice(0, -1).map((start, place) => {
        const piece = characters.slice(start, cuts[place + 1]).join("");
        const over = spans.filter(({ region }) => region.characters![0] <= start && region.characters![1] > start);
        if (!over.length) return piece;
        const name = over.map(({ region }) => region.label ?? "").join(", ");
        return <mark key={start} title={name} style={{ borderBottomColor: colourOf(over[0].region.label ?? "") }}>{piece}<sub>{name}</sub></mark>;
      })}
    </pre>
    {beyond > 0 && <p class="quiet" role="note">{beyond.toLocaleString("en")} spans end behind what is shown here</p>}
    </>
  );
}
