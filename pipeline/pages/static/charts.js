// Charts that zoom, and show the value under the pointer. Each is drawn again, by Vega, when a mouse first comes to it:
// until then, and where there is no mouse, it is the picture that the page came with.
"use strict";

{
  const library = document.currentScript.dataset.library;
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  let loading = null;

  const load = () => loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = library;
    script.type = "module";
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => reject(new Error("the chart library cannot be loaded"));
    document.head.append(script);
  });

  const answer = async (address) => {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address}: ${response.status}`);
    return response.json();
  };

  const draw = async (figure) => {
    const picture = figure.querySelector(".picture");
    const still = picture.querySelector("svg.lines");
    const note = document.createElement("p");
    note.className = "loading";
    note.setAttribute("role", "status");
    note.textContent = "Loading the chart…";
    picture.append(note);
    const drawing = document.createElement("div");
    drawing.className = "drawing hidden-until-drawn";
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", still.getAttribute("aria-label"));
    const [embed, {spec, light, dark}] = await Promise.all([load(), answer(figure.dataset.spec)]);
    picture.append(drawing);
    const show = async () => {
      const config = {...(darkness.matches ? dark : light), background: null, font: getComputedStyle(figure).fontFamily};
      await embed(drawing, spec, {
        mode: "vega-lite", renderer: "svg", ast: true, actions: false, config,
        defaultStyle: false, tooltip: {disableDefaultStyle: true},
      });
    };
    await show();
    note.remove();
    drawing.classList.remove("hidden-until-drawn");
    picture.classList.add("drawn");
    darkness.addEventListener("change", show);
  };

  for (const figure of document.querySelectorAll("figure[data-spec]")) {
    const begin = (event) => {
      if (event.pointerType !== "mouse") return;
      figure.removeEventListener("pointerenter", begin);
      draw(figure).catch((error) => {  // the picture stays
        console.warn(error.message);
        figure.querySelector(".loading")?.remove();
      });
    };
    figure.addEventListener("pointerenter", begin);
  }
  // A mouse that comes near will come to a chart, too; and what is fetched while the browser idles need not be then.
  const canHover = matchMedia("(hover: hover)").matches;
  for (const charts of document.querySelectorAll(".charts")) {
    charts.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") load().catch(() => {});
    }, {once: true});
  }
  if (canHover && document.querySelector("figure[data-spec]") !== null) {
    addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(() => {
      const link = document.createElement("link");
      link.rel = "prefetch";
      link.href = library;
      document.head.append(link);
    }));
  }
  for (const hint of document.querySelectorAll(".hint")) hint.hidden = !canHover;
}
