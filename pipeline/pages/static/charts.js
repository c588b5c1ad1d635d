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
    drawing.classList.remove("hidden-until-drawn");
    picture.classList.add("drawn");
    darkness.addEventListener("change", show);
  };

  for (const figure of document.querySelectorAll("figure[data-spec]")) {
    const begin = (event) => {
      if (event.pointerType !== "mouse") return;
      figure.removeEventListener("pointerenter", begin);
      draw(figure).catch((error) => console.warn(error.message));  // the picture stays
    };
    figure.addEventListener("pointerenter", begin);
  }
  for (const hint of document.querySelectorAll(".hint")) hint.hidden = !matchMedia("(hover: hover)").matches;
}
