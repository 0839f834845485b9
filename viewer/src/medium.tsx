// What an entity is, as it is looked at: a picture, sound, video, a text, an array.

import { useEffect, useState } from "preact/hooks";
import { to } from "./address";
import { Heat } from "./heat";
import { Film, Sound, Words } from "./media";
import { type Answer, type Preview, shortId } from "./model";
import type { Source } from "./source";
import { type Box, type Hidden, Stage, type View } from "./stage";
import type { Region } from "./model";

const BEGINNING = 2_000; // characters of a preview: `lakehouse.media.previews.CHARACTERS`

interface MediumProps {
  source: Source; id: string; preview: Preview; url: string; answers: Answer[]; hidden: Hidden; view: View | null; rate?: number;
  onView: (view: View) => void; drawing?: string | null; onBox?: (box: Box) => void;
  changing?: Region | null; onDrop?: () => void; onRemove?: () => void;
}

export function Medium(props: MediumProps) {
  const { source, id, preview, url, answers, hidden } = props;
  const [text, setText] = useState(preview.text);
  const [told, setTold] = useState("");
  useEffect(() => {
    setText(preview.text);
    setTold("");
    const begins = `only its beginning is shown, of ${preview.size_bytes.toLocaleString("en")} bytes`;
    const address = source.media(id);
    let here = true;
    if (preview.kind !== "text") return;
    if (!address || preview.size_bytes >= 4_000_000) setTold([...preview.text].length < BEGINNING ? "" : begins);
    else fetch(address).then(async (answer) => {
      // An answer that is an error has words too: none of the text.
      if (!answer.ok) throw new Error(await answer.text());
      return answer.text();
    }).then((whole) => here && setText(whole), (error) => here && setTold(`${begins}: ${error.message}`));
    return () => { here = false; };
  }, [id]);
  if (preview.kind === "image")
    return <div class="large"><Stage {...props} url={source.media(id) || url} labels title={`picture ${shortId(id)}`} /></div>;
  if (preview.kind === "drawing" && url) // its pixels alone: in the file itself there may be scripts
    return <><div class="large"><Stage {...props} labels title={`drawing ${shortId(id)}`} /></div>
      <p class="quiet" role="note">{preview.note} {source.spectrogram(id) !== null && <a href={source.media(id)} download={id}>download the SVG</a>}</p></>;
  if (preview.kind === "audio") return <Sound {...props} />;
  if (preview.kind === "video" && source.spectrogram(id) !== null) return <Film {...props} />;
  if (preview.kind === "text")
    return <><Words text={text} answers={answers} hidden={hidden} />{(told || preview.problem) && <p class="quiet" role="note">{preview.problem || told}</p>}</>;
  if (preview.kind === "array" && url) return <div class="large"><Heat preview={preview} url={url} title={`array ${shortId(id)}`} scale />
      {preview.shape?.length ? <p class="quiet">{preview.shape.join(" × ")} values{preview.shape.length > 2 ? ": the first place of all axes but the last two" : ""}</p> : null}</div>;
  if (preview.parts?.length)
    return <div class="large">
      {url ? <img src={url} alt={`window ${shortId(id)}`} /> : <pre class="words">{preview.text || preview.problem}</pre>}
      <p class="line">{preview.parts.map((part, place) => <a key={`${place} ${part}`} href={to("entity", { id: part })}>{place + 1}: {shortId(part)}</a>)}
        {preview.left_out ? <span class="quiet" role="note">and {preview.left_out.toLocaleString("en")} more</span> : null}</p>
    </div>;
  if (url) return <div class="large"><img src={url} alt={`${preview.kind} ${shortId(id)}`} class="pixels" /></div>;
  return <p class="nothing">{preview.problem || `${preview.media_type}, ${preview.size_bytes.toLocaleString("en")} bytes`} {source.media(id) && <a href={source.media(id)} download={id}>download</a>}</p>;
}
