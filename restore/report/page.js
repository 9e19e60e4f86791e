"use strict";
const $ = (query, root = document) => root.querySelector(query),
  $$ = (query, root = document) => [...root.querySelectorAll(query)];
const press = (buttons, chosen) =>
  buttons.forEach((b) => b.setAttribute("aria-pressed", chosen(b)));

// ---- the video: before is its upper half, after its lower one

function player(root) {
  const video = $("video", root),
    canvas = $("canvas", root),
    screen = $(".screen", root),
    slide = $(".screen > input", root);
  const seek = $(".seek", root),
    shots = JSON.parse(root.dataset.shots),
    [width, height] = [+root.dataset.w, +root.dataset.h];
  const state = { mode: "wipe", zoom: "whole" };

  /** The part of the picture on show: x, y, width, height in samples, in the picture's proportions. */
  function part() {
    const shot = shots.findLast((s) => video.currentTime >= s.start - 0.001) || shots[0],
      box = shot?.[state.zoom];
    if (!box) return [0, 0, width, height];
    const [x, y, w, h] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    const scale = Math.min(1, 1.35 * Math.max(w / width, h / height)),
      [pw, ph] = [width * scale, height * scale];
    const inside = (at, size, whole) => Math.max(0, Math.min(whole - size, at));
    return [inside(x + w / 2 - pw / 2, pw, width), inside(y + h / 2 - ph / 2, ph, height), pw, ph];
  }

  function draw() {
    const ratio = devicePixelRatio || 1,
      both = state.mode === "side";
    const room = root.clientWidth,
      shape = both ? (2 * width) / height : width / height;
    const tall = Math.min(room / shape, Math.max(240, innerHeight * 0.68));
    screen.style.width = `${tall * shape}px`;
    screen.style.height = `${tall}px`;
    canvas.width = Math.round(tall * shape * ratio);
    canvas.height = Math.round(tall * ratio);
    const context = canvas.getContext("2d"),
      [x, y, w, h] = part(),
      edge = canvas.width * (both ? 0.5 : slide.value / 1000);
    context.imageSmoothingQuality = "high";
    const show = (after, left, right, from) => {
      if (right <= left || video.readyState < 2) return;
      const whole = both ? canvas.width / 2 : canvas.width;
      context.save();
      context.beginPath();
      context.rect(left, 0, right - left, canvas.height);
      context.clip();
      context.drawImage(
        video,
        x,
        y + (after ? height + +root.dataset.gap : 0),
        w,
        h,
        from,
        0,
        whole,
        canvas.height,
      );
      context.restore();
    };
    const before = { wipe: edge, side: edge, before: canvas.width, after: 0 }[state.mode];
    show(false, 0, before, 0);
    show(true, before, canvas.width, both ? edge : 0);
    const seen = state.mode === "wipe";
    slide.hidden = $(".rule", root).hidden = !seen;
    $(".rule", root).style.left = `${slide.value / 10}%`;
    $(".tag.l", root).hidden = state.mode === "after";
    $(".tag.r", root).hidden = state.mode === "before";
    const time = (t) => `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`;
    $(".time", root).textContent = `${time(video.currentTime)} / ${time(video.duration || 0)}`;
    if (document.activeElement !== seek)
      seek.value = (1000 * video.currentTime) / (video.duration || 1);
    $(".play", root).textContent = video.paused ? "Play" : "Pause";
    press($$("[data-mode]", root), (b) => b.dataset.mode === state.mode);
    press($$("[data-zoom]", root), (b) => b.dataset.zoom === state.zoom);
  }

  function follow() {
    draw();
    if (!video.paused)
      video.requestVideoFrameCallback
        ? video.requestVideoFrameCallback(follow)
        : requestAnimationFrame(follow);
  }
  video.addEventListener("play", follow);
  for (const name of ["loadeddata", "seeked", "pause"]) video.addEventListener(name, draw);
  video.addEventListener("error", () => {
    $(".trouble", root).hidden = false;
  });
  $(".play", root).addEventListener("click", () => (video.paused ? video.play() : video.pause()));
  $(".mute", root)?.addEventListener("click", (e) => {
    video.muted = !video.muted;
    e.target.setAttribute("aria-pressed", video.muted);
  });
  seek.addEventListener("input", () => {
    video.currentTime = (seek.value / 1000) * (video.duration || 0);
  });
  seek.addEventListener("change", () => seek.blur());
  slide.addEventListener("input", draw);
  for (const b of $$("[data-mode]", root))
    b.addEventListener("click", () => ((state.mode = b.dataset.mode), draw()));
  for (const b of $$("[data-zoom]", root))
    b.addEventListener("click", () => ((state.zoom = b.dataset.zoom), draw()));
  addEventListener("resize", draw);
  draw();
}
if ($(".player")) player($(".player"));

// ---- single pictures

const frames = JSON.parse(document.getElementById("frames").textContent);
const names = { decoded: "before", restored: "after", source: "original", change: "change" };
const state = { frame: 0, left: "decoded", right: "restored" };
const stage = $(".stage"),
  slide = $(".stage input");

function cut() {
  const p = slide.value / 10;
  $("#left").style.clipPath = `inset(0 ${100 - p}% 0 0)`;
  $(".rule", stage).style.left = `${p}%`;
}

function show() {
  const f = frames[state.frame];
  for (const side of ["left", "right"]) {
    $(`#${side}`).src = f[state[side]];
    $(`#${side}`).alt = `frame ${f.label}, ${names[state[side]]}`;
    $(side === "left" ? ".tag.l" : ".tag.r", stage).textContent = names[state[side]];
  }
  press($$(".strip button"), (b) => $$(".strip button").indexOf(b) === state.frame);
  press($$("[data-side]"), (b) => state[b.dataset.side] === b.dataset.what);
  $("#change-scale").hidden = state.left !== "change" && state.right !== "change";
  cut();
}

function fit() {
  const w = +stage.dataset.w,
    h = +stage.dataset.h,
    room = stage.parentElement.clientWidth - 32;
  const z = Math.min(room / w, Math.max(300, innerHeight * 0.66) / h);
  stage.style.width = `${w * z}px`;
  stage.style.height = `${h * z}px`;
}
slide.addEventListener("input", cut);
stage.addEventListener("pointermove", (e) => {
  if (e.pointerType !== "mouse" || e.buttons) return;
  const r = stage.getBoundingClientRect();
  slide.value = (1000 * (e.clientX - r.left)) / r.width;
  cut();
});
$$(".strip button").forEach((b, k) =>
  b.addEventListener("click", () => ((state.frame = k), show())),
);
$$("[data-side]").forEach((b) =>
  b.addEventListener("click", () => ((state[b.dataset.side] = b.dataset.what), show())),
);
$("#sharp").addEventListener("click", (e) =>
  e.target.setAttribute("aria-pressed", stage.classList.toggle("sharp")),
);

// ---- curves

const plots = $$(".plot").map((p) => ({ p, d: JSON.parse(p.dataset.plot) }));

function point(share) {
  for (const { p, d } of plots) {
    const t = d.times,
      a = t[0],
      b = t[t.length - 1],
      want = a + (b - a) * share;
    let k = 0;
    while (k < t.length - 1 && Math.abs(t[k + 1] - want) <= Math.abs(t[k] - want)) k++;
    const c = p.querySelector(".cursor");
    c.setAttribute("transform", `translate(${56 + (b > a ? (t[k] - a) / (b - a) : 0) * 888} 0)`);
    c.style.opacity = 1;
    p.querySelectorAll(".key b").forEach((e, n) => {
      const v = d.values[n][k];
      e.textContent = v === null ? "" : `${+v.toPrecision(4)} ${d.unit}`;
    });
  }
}
for (const { p, d } of plots) {
  const svg = p.querySelector("svg");
  const share = (e) => {
    const r = svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (((e.clientX - r.left) / r.width) * 960 - 56) / 888));
  };
  svg.addEventListener("pointermove", (e) => point(share(e)));
  svg.addEventListener("click", (e) => {
    const t = d.times,
      want = t[0] + (t[t.length - 1] - t[0]) * share(e),
      off = (k) => Math.abs(frames[k].time - want);
    state.frame = frames.reduce((best, _, k) => (off(k) < off(best) ? k : best), 0);
    show();
  });
}
addEventListener("resize", fit);
fit();
show();
