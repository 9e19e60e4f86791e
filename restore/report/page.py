"""The page of a report: HTML with its style, script and pictures inside, no address outside."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from ... import __version__

_STYLE = """
:root{--bg:#f6f5f1;--card:#fff;--ink:#1c1d21;--soft:#6a6c74;--line:#e2e0d8;--decoded:#c8642a;
--restored:#0b7a6b;--plain:#5661b3;--shadow:0 1px 2px #0001,0 8px 24px #0000000d}
@media (prefers-color-scheme:dark){:root{--bg:#131417;--card:#1c1e23;--ink:#eceae4;--soft:#9a9ca5;
--line:#30333a;--decoded:#f0935a;--restored:#3fc1aa;--plain:#98a3f0;--shadow:none}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,
-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 20px 64px}
header p{color:var(--soft);margin:0}h1{font-size:30px;line-height:1.2;margin:2px 0 24px;
letter-spacing:-.02em;overflow-wrap:anywhere}h2{font-size:20px;margin:44px 0 14px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px}
.card,.panel,.plot{background:var(--card);border:1px solid var(--line);border-radius:14px;
box-shadow:var(--shadow)}.card{padding:14px 16px}.card span{color:var(--soft);font-size:13px}
.card b{display:block;font-size:25px;letter-spacing:-.02em;line-height:1.3;
font-variant-numeric:tabular-nums}.panel{padding:16px}
.bar{display:flex;flex-wrap:wrap;gap:10px 22px;align-items:center;margin-bottom:14px}
.pick{display:flex;align-items:center;gap:8px;color:var(--soft);font-size:13px}
.seg{display:inline-flex;border:1px solid var(--line);border-radius:9px;overflow:hidden}
button{font:inherit;font-size:13px;color:inherit;background:none;border:0;padding:5px 12px;
cursor:pointer}.seg button+button{border-left:1px solid var(--line)}
button[aria-pressed=true]{background:var(--ink);color:var(--card)}
button:focus-visible,input:focus-visible{outline:2px solid var(--plain);outline-offset:2px}
.stage{position:relative;margin:0 auto;border-radius:10px;overflow:hidden;background:#000;
touch-action:pan-y;user-select:none}
.stage img{position:absolute;inset:0;width:100%;height:100%;display:block}
.stage.sharp img{image-rendering:pixelated}
.stage input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize}
.rule{position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:#fff;
box-shadow:0 0 0 1px #0003;pointer-events:none}
.rule i{position:absolute;top:50%;left:50%;width:36px;height:36px;margin:-18px;border-radius:50%;
background:#fff;box-shadow:0 1px 6px #0006}
.rule i:before{content:"\\2039\\2009\\203A";display:grid;place-items:center;height:100%;color:#333;
font-size:22px;line-height:1;padding-bottom:4px;font-style:normal}
.tag{position:absolute;bottom:10px;padding:2px 10px;border-radius:99px;background:#000a;color:#fff;
font-size:12px;pointer-events:none}.tag.l{left:10px}.tag.r{right:10px}
.strip{display:flex;gap:8px;overflow-x:auto;padding:14px 2px 2px}
.strip button{padding:0;border:2px solid transparent;border-radius:10px;text-align:left;
background:none!important;color:inherit!important;flex:0 0 112px}
.strip button[aria-pressed=true]{border-color:var(--restored)}
.strip img{display:block;width:100%;height:74px;object-fit:cover;border-radius:8px}
.strip span{display:block;padding:3px 4px;font-size:12px;line-height:1.35}
.strip em{display:block;font-style:normal;color:var(--soft)}
.plot{margin:0 0 14px;padding:14px 16px 8px}.plot figcaption{display:flex;flex-wrap:wrap;
gap:4px 18px;align-items:baseline}.plot svg{display:block;width:100%;height:auto;margin-top:6px}
.plot p,.map p{color:var(--soft);font-size:13px;margin:4px 0}
.grid{stroke:var(--line);fill:none}.axis{fill:var(--soft);font-size:12px}
.curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round;
vector-effect:non-scaling-stroke}.cursor{stroke:var(--soft);stroke-dasharray:3 3;opacity:0}
.curve.decoded{stroke:var(--decoded)}.curve.restored{stroke:var(--restored)}
.curve.plain{stroke:var(--plain)}.legend{display:flex;gap:16px;font-size:13px;color:var(--soft)}
.key:before{content:"";display:inline-block;width:14px;height:3px;border-radius:2px;
margin:0 6px 3px 0;background:var(--plain)}.key.decoded:before{background:var(--decoded)}
.key.restored:before{background:var(--restored)}.key b{color:var(--ink);font-weight:600;
font-variant-numeric:tabular-nums}
.maps{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:14px}
.map{margin:0}.map img{width:100%;display:block;border-radius:10px;image-rendering:pixelated}
.map strong{display:block;margin-top:10px}
table{border-collapse:collapse;width:100%;font-size:14px}td{padding:7px 8px;vertical-align:top;
border-top:1px solid var(--line);overflow-wrap:anywhere}tr:first-child td{border:0}
td:first-child{color:var(--soft);width:190px;white-space:nowrap}
.note{border-left:3px solid var(--decoded);padding:2px 12px;margin:16px 0 0;color:var(--soft)}
footer{margin-top:36px;color:var(--soft);font-size:13px}
"""

_SCRIPT = """
const frames=JSON.parse(document.getElementById('frames').textContent);
const $=s=>document.querySelector(s),$$=s=>[...document.querySelectorAll(s)];
const names={decoded:'decoded',restored:'restored',source:'source',change:'change'};
const state={frame:0,left:'decoded',right:'restored'};
const stage=$('.stage'),slide=$('.stage input');
function cut(){const p=slide.value/10;$('#left').style.clipPath=`inset(0 ${100-p}% 0 0)`;
$('.rule').style.left=p+'%';}
function show(){const f=frames[state.frame];
for(const side of ['left','right']){$('#'+side).src=f[state[side]];
$('#'+side).alt=`frame ${f.label}, ${names[state[side]]}`;
$(side==='left'?'.tag.l':'.tag.r').textContent=names[state[side]];}
$$('.strip button').forEach((b,k)=>b.setAttribute('aria-pressed',k===state.frame));
$$('[data-side]').forEach(b=>b.setAttribute('aria-pressed',state[b.dataset.side]===b.dataset.what));
cut();}
function fit(){const w=+stage.dataset.w,h=+stage.dataset.h,room=$('.panel').clientWidth-32;
let z=Math.min(room/w,Math.max(360,innerHeight*.72)/h);stage.style.width=w*z+'px';
stage.style.height=h*z+'px';}
slide.addEventListener('input',cut);
stage.addEventListener('pointermove',e=>{if(e.pointerType!=='mouse'||e.buttons)return;
const r=stage.getBoundingClientRect();slide.value=1000*(e.clientX-r.left)/r.width;cut();});
$$('.strip button').forEach((b,k)=>b.addEventListener('click',()=>{state.frame=k;show();}));
$$('[data-side]').forEach(b=>b.addEventListener('click',()=>{state[b.dataset.side]=b.dataset.what;
show();}));
$('#sharp').addEventListener('click',e=>{const on=stage.classList.toggle('sharp');
e.target.setAttribute('aria-pressed',on);});
const plots=$$('.plot').map(p=>({p,d:JSON.parse(p.dataset.plot)}));
function point(share){for(const {p,d} of plots){const t=d.times,a=t[0],b=t[t.length-1];
const want=a+(b-a)*share;let k=0;while(k<t.length-1&&Math.abs(t[k+1]-want)<=Math.abs(t[k]-want))k++;
const x=56+(b>a?(t[k]-a)/(b-a):0)*888,c=p.querySelector('.cursor');
c.setAttribute('transform',`translate(${x} 0)`);c.style.opacity=1;
p.querySelectorAll('.key b').forEach((e,n)=>{const v=d.values[n][k];
e.textContent=v===null?'':`${(+v.toPrecision(4))} ${d.unit}`;});}}
for(const {p,d} of plots){const svg=p.querySelector('svg');
const share=e=>{const r=svg.getBoundingClientRect();
return Math.min(1,Math.max(0,((e.clientX-r.left)/r.width*960-56)/888));};
svg.addEventListener('pointermove',e=>point(share(e)));
svg.addEventListener('click',e=>{const t=d.times,want=t[0]+(t[t.length-1]-t[0])*share(e);
let best=0;const off=k=>Math.abs(frames[k].time-want);
frames.forEach((f,k)=>{if(off(k)<off(best))best=k;});
state.frame=best;show();});}
addEventListener('resize',fit);fit();show();
"""


@dataclass(frozen=True)
class Picture:
    """A frame on the page; pictures are data addresses, empty where there is none."""

    label: str
    time: float
    why: str
    decoded: str
    restored: str
    change: str
    source: str


def render(
    *,
    title: str,
    cards: Sequence[tuple[str, str, str]],
    pictures: Sequence[Picture],
    plots: Sequence[str],
    maps: Sequence[tuple[str, str, str]],
    facts: Mapping[str, object],
    notes: Sequence[str],
    size: tuple[int, int] | None = None,
) -> str:
    """The page.

    Args:
        title: Name of the video.
        cards: Name, value and remark of each figure at the top.
        pictures: Frames to look at, at least one.
        plots: HTML of the curves.
        maps: Address, title and remark.
        facts: The table of settings.
        notes: Sentences a reader should not miss.
        size: Width and height of the pictures.

    Returns:
        HTML.
    """
    width, height = size or (16, 9)
    sources = ("decoded", "source") if pictures[0].source else ("decoded",)
    rights = ("restored", "change", *(("source",) if pictures[0].source else ()))
    card_text = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(remark)}</span></div>"
        for name, value, remark in cards
    )
    strip = "".join(
        f'<button><img src="{p.restored}" alt=""><span>frame {escape(p.label)}, {p.time:.2f} s'
        f"<em>{escape(p.why) or '&nbsp;'}</em></span></button>"
        for p in pictures
    )
    map_text = "".join(
        f'<figure class="map"><img src="{uri}" alt="{escape(name)}"><strong>{escape(name)}</strong>'
        f"<p>{escape(remark)}</p></figure>"
        for uri, name, remark in maps
    )
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_plain(value))}</td></tr>"
        for name, value in facts.items()
    )
    # "<" cannot end the element early once it is written as an escape of JSON
    data = json.dumps([asdict(p) for p in pictures]).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>davd: {escape(title)}</title><style>{_STYLE}</style></head>
<body><main>
<header><p>davd-restore</p><h1>{escape(title)}</h1></header>
<section class="cards">{card_text}</section>
{"".join(f'<p class="note">{escape(note)}</p>' for note in notes)}
<h2>Before and after</h2>
<section class="panel"><div class="bar">
<div class="pick">left {_segment("left", sources)}</div>
<div class="pick">right {_segment("right", rights)}</div>
<div class="pick"><span class="seg"><button id="sharp" aria-pressed="false">samples as squares\
</button></span></div></div>
<div class="stage" data-w="{width}" data-h="{height}"><img id="right" alt=""><img id="left" alt="">
<div class="rule"><i></i></div><span class="tag l"></span><span class="tag r"></span>
<input type="range" min="0" max="1000" value="500" aria-label="place of the edge between both">
</div><div class="strip">{strip}</div></section>
<h2>Frame by frame</h2>{"".join(plots)}
<h2>What it did, and where</h2><section class="panel maps">{map_text}</section>
<h2>Settings</h2><section class="panel"><table>{rows}</table></section>
<footer>Made by davd {escape(__version__)}. “change” shows restored less decoded luma: blue \
darker, red brighter, full colour at 16 of 255 grey levels.</footer>
</main><script type="application/json" id="frames">{data}</script>
<script>{_SCRIPT}</script></body></html>
"""


def _segment(side: str, choices: Sequence[str]) -> str:
    buttons = "".join(
        f'<button data-side="{side}" data-what="{name}">{name}</button>' for name in choices
    )
    return f'<span class="seg">{buttons}</span>'


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"
