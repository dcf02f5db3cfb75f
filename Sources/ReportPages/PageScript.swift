/// The page's script: choosing an instant, copying the command, and on a live page the sidecar's figures. It
/// sets everything that it shows as text, and checks the values in a link before it uses them in a command.
enum PageScript {
  static let text = #"""

    (() => {
    "use strict";
    const byId = id => document.getElementById(id);
    const data = JSON.parse(byId("data").textContent);
    const iso = t => new Date(t).toISOString().replace(".000Z", "Z");
    const shown = t => new Date(t).toISOString().slice(0, 19).replace("T", " ");
    const root = document.documentElement;
    root.classList.add("ready");
    // For a test: nothing else says whether a page is wider than its window.
    addEventListener("load", () => { root.dataset.fits = String(root.scrollWidth <= innerWidth); });

    const setText = (id, text) => { const e = byId(id); if (e && e.textContent !== text) e.textContent = text; };

    // The row of the instant: [first instant, kind, last restorable one before it, next one, timeline]. The
    // two are relative to the first, and what is not there is left out.
    function find(t) {
      const rows = data.rows || [];
      let low = 0, high = rows.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (rows[middle][0] !== null && rows[middle][0] > t) high = middle; else low = middle + 1;
      }
      const [from, kind, last, next, timeline] = rows[Math.max(0, low - 1)] || [null, 0];
      const time = distance => distance == null ? null : (from || 0) + distance;
      return { kind, last: time(last), next: time(next), timeline };
    }

    let chosen = { kind: "unasked" };
    const instant = byId("instant"), slider = byId("slider");

    function describe() {
      if (chosen.kind === "point") {
        return ["The restore point " + chosen.id + ".", "--point " + chosen.id];
      }
      // Nobody has chosen yet: never a state that may be an accident.
      if (chosen.kind === "unasked" && data.unasked) return data.unasked;
      if (chosen.kind !== "at") {
        return data.newest ? ["The newest restore point, " + data.newest[0] + " of " + shown(data.newest[1]) + (data.unasked ? ". It may be an accident." : "."), data.suspect ? "--suspect newest" : ""] : [data.unread ? "The newest restore point can't be read: choose an instant before it." : "There is no restore point.", null];
      }
      const t = chosen.at, { kind, last, next, timeline } = find(t), [words, argument] = data.kinds[kind];
      const names = { at: iso(t), last: last === null ? "" : iso(last), lastShown: last === null ? "" : shown(last), next: next === null ? "" : " The next one is of " + shown(next) + ".", timeline: timeline };
      const fill = text => text === null ? null : text.replace(/\{([a-zA-Z]+)\}/g, (_, name) => names[name]);
      return [fill(words), fill(argument)];
    }

    function show() {
      if (!instant) return;
      const [words, argument] = describe();
      setText("meaning", words);
      setText("command", argument === null ? "" : data.head + (argument ? " " + argument : "") + data.tail);
      byId("copy").disabled = argument === null;
      const t = chosen.kind === "at" ? chosen.at : chosen.kind !== "point" && data.newest && !(chosen.kind === "unasked" && data.unasked) ? data.newest[1] : null;
      if (t !== null) {
        instant.value = shown(t);
        instant.removeAttribute("aria-invalid");
        slider.value = String(Math.round((t - data.span[0]) / Math.max(1, data.span[1] - data.span[0]) * 2000));
        slider.setAttribute("aria-valuetext", shown(t));
      }
      for (const chart of document.querySelectorAll(".times")) {
        const line = chart.querySelector(".cursor"), from = +chart.dataset.from, to = +chart.dataset.to;
        const x = t === null ? -1 : (t - from) / Math.max(1, to - from) * 100;
        const place = (x >= 0 && x <= 100 ? x : -10).toFixed(3) + "%";
        line.setAttribute("x1", place);
        line.setAttribute("x2", place);
        line.setAttribute("visibility", x >= 0 && x <= 100 ? "visible" : "hidden");
      }
    }

    const limit = 8.64e15;
    function choose(t, keepsLink) {
      if (!Number.isFinite(t) || Math.abs(t) > limit) return;
      chosen = { kind: "at", at: Math.round(t) };
      if (!keepsLink) history.replaceState(null, "", "#at=" + chosen.at / 1000);
      show();
    }

    // #at=<unix seconds>, #point=<id>
    function follow() {
      const hash = location.hash;
      const at = /^#at=(-?[0-9]{1,13}(?:\.[0-9]{1,3})?)$/.exec(hash);
      const point = /^#point=([0-9]+\.[0-9]+(?:@(?:[0-9]+\/)?[0-9]+:[0-9]+)?)$/.exec(hash);
      if (at) choose(Number(at[1]) * 1000, true);
      else if (point) { chosen = { kind: "point", id: point[1] }; show(); }
      return at || point;
    }

    if (instant) {
      instant.addEventListener("change", () => {
        const parts = /^\s*(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)Z?\s*$/.exec(instant.value);
        const time = parts ? Date.parse(parts[1] + "T" + parts[2] + "Z") : NaN;
        instant.setAttribute("aria-invalid", String(Number.isNaN(time)));
        choose(time);
      });
      slider.addEventListener("input", () => choose(Math.round((data.span[0] + slider.value / 2000 * (data.span[1] - data.span[0])) / 1000) * 1000));
      for (const button of document.querySelectorAll("[data-step]")) {
        button.addEventListener("click", () => choose((chosen.kind === "at" ? chosen.at : data.newest ? data.newest[1] : data.span[1]) + button.dataset.step * 1000));
      }
      byId("newest").addEventListener("click", () => {
        chosen = { kind: "newest" };
        history.replaceState(null, "", location.pathname + location.search);
        show();
      });
      for (const chart of document.querySelectorAll(".times")) {
        chart.addEventListener("click", event => {
          if (event.target.closest("a")) return;
          const box = chart.getBoundingClientRect(), from = +chart.dataset.from, to = +chart.dataset.to;
          const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
          choose(Math.round((from + part * (to - from)) / 1000) * 1000);
        });
      }
      byId("copy").addEventListener("click", async () => {
        const button = byId("copy"), text = byId("command").textContent;
        let isDone = false;
        try { await navigator.clipboard.writeText(text); isDone = true; } catch {
          const range = document.createRange();
          range.selectNodeContents(byId("command"));
          getSelection().removeAllRanges();
          getSelection().addRange(range);
          isDone = document.execCommand("copy");
        }
        button.textContent = isDone ? "Copied" : "Selected";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      addEventListener("hashchange", () => { if (follow()) byId("restore").scrollIntoView({ block: "nearest" }); });
      if (!follow()) show();
    }

    // The sidecar's own figures.
    if (data.live) {
      const hide = (id, isHidden) => { byId(id).hidden = isHidden; };
      const bytes = n => {
        const units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let u = 0;
        while (n >= 1024 && u < 4) { n /= 1024; u++; }
        return (u ? n.toFixed(1) : n) + " " + units[u];
      };
      const time = s => s < 100 ? (s < 10 ? s.toFixed(1).replace(/\.0$/, "") : Math.round(s)) + " s"
        : s < 6000 ? Math.floor(s / 60) + " min" : s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
      let last = Date.now(), isTouched = false;
      const opened = last;
      for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { isTouched = true; });
      async function ask() {
        try {
          const reply = await fetch("/live", { cache: "no-store", credentials: "omit" });
          if (!reply.ok) throw new Error();
          const live = await reply.json();
          last = Date.now();
          hide("silent", true);
          setText("state", live.status.state);
          byId("state").dataset.state = live.status.state;
          setText("reason", live.status.reason || "");
          setText("lag", live.isLagKnown ? time(live.status.lagSeconds) : "unknown");
          if (live.isLagKnown) pulse(live.status.lagSeconds);
          setText("unshipped", bytes(live.status.unshippedBytes));
          setText("away-words", live.status.storeProblem || "");
          setText("away-since", live.status.storeAwaySince || "");
          hide("away", !live.status.storeAwaySince);
          setText("problem-text", live.problem || "");
          hide("problem", !live.problem || live.status.storeAwaySince);
          const isNewer = live.readAt && live.readAt !== data.readAt;
          // Requested with this page: it is what the reader came for.
          if (isNewer && (!data.readAt || (data.reading && !isTouched && Date.now() - opened < 30000))) location.reload();
          // It was made while the repository was being read, which gave nothing to draw.
          else if (!data.readAt && data.reading && !live.isReading) location.reload();
          else hide("newer", !isNewer);
        } catch {
          setText("silent-since", shown(last) + " UTC");
          hide("silent", false);
        }
      }
      byId("reload").addEventListener("click", event => { event.preventDefault(); location.reload(); });
      // The lag since this page was opened: the sidecar keeps none.
      const lags = [];
      function pulse(lag) {
        lags.push(lag);
        if (lags.length > 100) lags.shift();
        const most = Math.max(1, ...lags);
        byId("pulse").replaceChildren(...lags.map((value, i) => {
          const bar = document.createElementNS(byId("pulse").namespaceURI, "rect");
          const height = Math.max(1.5, 28 * value / most);
          for (const [name, number] of [["x", i + "%"], ["width", "0.8%"], ["y", 28 - height], ["height", height]]) bar.setAttribute(name, number);
          bar.setAttribute("class", "bar");
          return bar;
        }));
      }
      const turn = async () => { if (!document.hidden) await ask(); setTimeout(turn, 3000); };
      turn();
    }
    })();

    """#
}
