// Sound, video and text, with what is said of their seconds, frames and characters.

import { useEffect, useRef, useState } from "preact/hooks";
import { colourOf } from "./colours";
import type { Answer, Preview } from "./model";
import type { Source } from "./source";
import { type Hidden, regionsOf, Shape } from "./stage";

interface Played { source: Source; id: string; preview: Preview; url: string; answers: Answer[]; hidden: Hidden }

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
    <div class="sound" data-length={length}>
      {[["waveform", url], ["spectrogram", spectrogram]].map(([name, address]) => address && (
        <div key={name} class="band" onClick={jump}>
          <img src={address} alt={name!} class={name!} />
          {said.map(({ region }, key) => (
            <span key={key} class="interval" title={region.label} style={{
              left: share(region.seconds![0]), width: share(region.seconds![1] - region.seconds![0]), background: colourOf(region.label ?? ""),
            }}>{name === "waveform" ? region.label : ""}</span>
          ))}
          <span class="cursor" style={{ left: share(time) }} />
        </div>
      ))}
      <div class="axis">{[0, 0.25, 0.5, 0.75, 1].map((part) => <span key={part}>{(part * length).toFixed(2)} s</span>)}</div>
      {!url || source.spectrogram(id) !== null ? (
        <audio ref={player} controls src={source.media(id)} preload="metadata"
          onLoadedMetadata={(event) => setPlayed(event.currentTarget.duration)} onTimeUpdate={(event) => setTime(event.currentTarget.currentTime)} />
      ) : null}
    </div>
  );
}

export function Film({ source, id, answers, hidden }: Played) {
  const player = useRef<HTMLVideoElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0, length: 0 });
  const [time, setTime] = useState(0);
  const said = regionsOf(answers, hidden);
  const untimed = said.filter(({ region }) => region.frames && !region.seconds).length;
  useEffect(() => {
    const film = player.current!;
    // Every frame that is shown, not the few times a second of `timeupdate`.
    let ticket = 0;
    const tick = () => { setTime(film.currentTime); ticket = film.requestVideoFrameCallback(tick); };
    if ("requestVideoFrameCallback" in film) ticket = film.requestVideoFrameCallback(tick);
    return () => film.cancelVideoFrameCallback?.(ticket);
  }, [id]);
  return (
    <div class="film">
      <div class="screen">
        <video ref={player} controls preload="metadata" src={source.media(id)} onTimeUpdate={(event) => setTime(event.currentTarget.currentTime)}
          onLoadedMetadata={(event) => setSize({ width: event.currentTarget.videoWidth, height: event.currentTarget.videoHeight, length: event.currentTarget.duration })} />
        {size.width > 0 && (
          <svg viewBox={`0 0 ${size.width} ${size.height}`} class="over" aria-hidden="true">
            {said.filter(({ region }) => region.seconds ? time >= region.seconds[0] && time <= region.seconds[1] : !region.frames)
              .map(({ region }, key) => <Shape key={key} region={region} />)}
          </svg>
        )}
      </div>
      {untimed > 0 && <p class="quiet">{untimed.toLocaleString("en")} regions are of frames by number, whose time is not known here: they are not drawn</p>}
      <div class="band thin">
        {said.filter(({ region }) => region.seconds).map(({ region }, key) => (
          <button key={key} class="interval" style={{
            left: `${(region.seconds![0] / (size.length || 1)) * 100}%`, width: `${((region.seconds![1] - region.seconds![0]) / (size.length || 1)) * 100}%`,
            background: colourOf(region.label ?? ""),
          }} onClick={() => { player.current!.currentTime = region.seconds![0]; }}>{region.label}</button>
        ))}
      </div>
      <p class="line">
        <button class="small" onClick={() => { player.current!.currentTime = Math.max(0, player.current!.currentTime - 1); }}>1 s back</button>
        <span>{time.toFixed(2)} of {size.length.toFixed(2)} s</span>
        <button class="small" onClick={() => { player.current!.currentTime += 1; }}>1 s on</button>
      </p>
    </div>
  );
}

/** A text with its spans. Spans may overlap: the text is cut at every end of one. */
export function Words({ text, answers, hidden }: { text: string; answers: Answer[]; hidden: Hidden }) {
  const spans = regionsOf(answers, hidden).filter(({ region }) => region.characters);
  const characters = [...text]; // code points, as Python counts them
  const cuts = [...new Set([0, characters.length, ...spans.flatMap(({ region }) => region.characters!)])]
    .filter((cut) => cut >= 0 && cut <= characters.length).sort((one, other) => one - other);
  return (
    <pre class="words">
      {cuts.slice(0, -1).map((start, place) => {
        const piece = characters.slice(start, cuts[place + 1]).join("");
        const over = spans.filter(({ region }) => region.characters![0] <= start && region.characters![1] > start);
        if (!over.length) return piece;
        const name = over.map(({ region }) => region.label ?? "").join(", ");
        return <mark key={start} title={name} style={{ borderBottomColor: colourOf(over[0].region.label ?? "") }}>{piece}<sub>{name}</sub></mark>;
      })}
    </pre>
  );
}
