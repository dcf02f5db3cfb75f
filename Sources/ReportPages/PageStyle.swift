/// The page's style. Colours have a contrast of 4.5 or more in both schemes. No information is in a colour
/// alone; shapes and words have it, too.
enum PageStyle {
  static let text = """

    :root{--bg:#f4f6f9;--card:#fff;--text:#17202c;--muted:#4a5666;--line:#d5dbe3;--accent:#1b5fb8;--on:#fff;
    --window:#1f6fd1;--branch:#6b5b95;--bad:#a5211b;--bad-bg:#fdecea;--warn:#7a4b00;--warn-bg:#fff4dd;
    --good:#17693f;--info-bg:#e8f1fd;--grid:#e3e8ee;--focus:#b04a00}
    @media (prefers-color-scheme:dark){:root{--bg:#0f141b;--card:#171e27;--text:#e7ecf3;--muted:#a9b5c4;
    --line:#2d3744;--accent:#8ab8ff;--on:#0c1420;--window:#5c9dff;--branch:#b8a6e6;--bad:#ff9a91;--bad-bg:#3a1a1a;
    --warn:#ffd07a;--warn-bg:#35290f;--good:#74d8a3;--info-bg:#14263e;--grid:#232c37;--focus:#ffb169}}
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
    body{margin:0;background:var(--bg);color:var(--text);line-height:1.5;
    font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
    header,main,footer{max-width:76rem;margin:0 auto;padding:0 1rem}
    header{padding-top:1.25rem}
    .brand{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .75rem}
    h1{font-size:1.5rem;line-height:1.25;margin:0;overflow-wrap:anywhere}
    h2{font-size:1.1rem;margin:0 0 .5rem}
    h3{font-size:.85rem;font-weight:600;color:var(--muted);margin:1rem 0 .35rem}
    h3:first-child{margin-top:0}
    .kind{margin:0;color:var(--muted)}
    .facts{margin:.15rem 0;color:var(--muted);overflow-wrap:anywhere}
    .facts span{margin-left:.6rem}
    code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.92em}
    section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;margin:1rem 0}
    section[aria-label="Figures"]{background:none;border:0;padding:0}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,10.5rem),1fr));gap:.75rem;margin:0}
    .card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem .9rem;min-width:0}
    .card dt{color:var(--muted);font-size:.85rem}
    .card dd{margin:0;font-size:1.1rem;font-weight:600;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
    .card dd.note{font-size:.85rem;font-weight:400}
    .note,.hint,.none{color:var(--muted);font-size:.87rem;margin:.5rem 0 0}
    .hint{margin:0 0 .6rem}
    .state[data-state="active"],.state[data-state="following"]{color:var(--good)}
    .state[data-state="blocked"],.state[data-state="standby"]{color:var(--warn)}
    .failed{color:var(--bad)}
    .alert{border:1px solid currentColor;border-left-width:6px;border-radius:8px;padding:.6rem .9rem;margin:1rem 0 0;overflow-wrap:anywhere}
    .alert[hidden]{display:none}
    .alert span,.alert .remedy{color:var(--text)}
    .alert strong span{color:inherit}
    .remedy{display:block;margin-top:.35rem}
    .remedy code{overflow-wrap:anywhere}
    .word{display:inline-block;max-width:100%}
    .alert.bad{color:var(--bad);background:var(--bad-bg)}
    .alert.warn{color:var(--warn);background:var(--warn-bg)}
    .alert.info{color:var(--accent);background:var(--info-bg)}
    a{color:var(--accent)}
    figure{margin:0;min-width:0}
    .chart,.lane{overflow:visible}
    .chart{display:block}
    .symbols{position:absolute}
    .times{cursor:crosshair;touch-action:manipulation}
    .chart text{fill:var(--muted);font-size:12px}
    .chart text.lane-name{fill:var(--text)}
    .grid{stroke:var(--grid)}
    .base{stroke:var(--line);stroke-width:1}
    .cursor{stroke:var(--focus);stroke-width:2;stroke-dasharray:4 2;pointer-events:none}
    .window{fill:var(--window)}
    .gap-unwatched{fill:none;stroke:var(--muted);stroke-dasharray:2 3}
    .gap-unreadable{fill:var(--bad-bg);stroke:var(--bad);stroke-width:2}
    .gap-dumps{fill:none;stroke:var(--line)}
    .abandoned{fill:none;stroke:var(--branch);stroke-width:2.5;stroke-dasharray:6 3}
    .point{fill:var(--card);stroke:var(--window);stroke-width:2.5}
    .bar,.dot{fill:var(--window)}
    .hit{fill:transparent;stroke:none}
    .m-claim path{stroke:var(--muted);stroke-width:2.5}
    .m-rewrite rect{fill:var(--card);stroke:var(--muted);stroke-width:2}
    .m-destructive path{stroke:var(--bad);stroke-width:3.5;fill:none}
    .m-suspect path{fill:var(--warn-bg);stroke:var(--warn);stroke-width:2;stroke-linejoin:round}
    .m-quarantine path{fill:var(--bad-bg);stroke:var(--bad);stroke-width:2.5}
    .m-pin circle{fill:var(--accent)}.m-pin path{stroke:var(--accent);stroke-width:2}
    .m-drill circle{fill:none;stroke:var(--good);stroke-width:2}.m-drill path{fill:none;stroke:var(--good);stroke-width:2}
    .m-end path{stroke:var(--muted);stroke-width:2}
    .legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;padding:0;margin:.75rem 0 0;font-size:.87rem}
    .legend li{display:flex;gap:.4rem;align-items:flex-start;max-width:100%}
    .legend svg{flex:none}
    .plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.25rem 2rem}
    .plot figcaption{font-weight:600;font-size:.9rem;margin-bottom:.35rem}
    .axes{display:block;font-weight:400;color:var(--muted);font-size:.82rem}
    .plot .chart{margin-left:4.4rem;width:calc(100% - 4.4rem)}
    .chooser{margin-bottom:.75rem}
    .fields{display:flex;flex-wrap:wrap;gap:.5rem .75rem;align-items:center}
    label{font-weight:600;font-size:.9rem}
    input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--muted);border-radius:7px;padding:.4rem .6rem;max-width:100%}
    button{cursor:pointer;min-height:2.4rem}
    button:hover{border-color:var(--accent);color:var(--accent)}
    input[type=range]{width:100%;padding:0;margin:.6rem 0 0;accent-color:var(--accent);display:block;border:0;min-height:1.6rem}
    .buttons{display:flex;flex-wrap:wrap;gap:.35rem}
    #meaning{margin:.25rem 0 .6rem;min-height:1.5em;overflow-wrap:anywhere}
    .command{display:flex;flex-wrap:wrap;gap:.5rem;align-items:stretch}
    pre{margin:0;flex:1 1 18rem;min-width:0;background:var(--bg);border:1px solid var(--line);border-radius:7px;padding:.6rem .75rem;white-space:pre-wrap;overflow-wrap:anywhere}
    #copy{background:var(--accent);color:var(--on);border-color:var(--accent);font-weight:600;min-width:5.5rem}
    #copy:hover{filter:brightness(1.08)}
    .scroll{overflow-x:auto;max-width:100%;margin-top:.5rem}
    table{border-collapse:collapse;width:100%;font-size:.88rem}
    th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
    th{color:var(--muted);font-weight:600;white-space:nowrap}
    td time{white-space:nowrap;font-variant-numeric:tabular-nums}
    .n{text-align:right;font-variant-numeric:tabular-nums}
    .sign{display:inline-flex;gap:.4rem;align-items:center;white-space:nowrap}
    .line{display:block;overflow-wrap:anywhere;min-width:16rem}
    details summary{cursor:pointer;padding:.35rem 0;font-size:.9rem}
    details{margin-top:.5rem}
    .hidden,.skip:not(:focus){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
    .skip:focus{position:fixed;top:.5rem;left:.5rem;background:var(--card);padding:.5rem 1rem;z-index:1}
    :focus-visible{outline:3px solid var(--focus);outline-offset:2px}
    .script{display:none}
    .ready .script{display:block}
    .ready #copy{display:inline-block}
    .choose{display:none}.ready .choose{display:inline}
    footer{color:var(--muted);font-size:.85rem;padding-bottom:2rem}
    @media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
    @media (max-width:70rem){.plot .alternate{display:none}}
    @media (max-width:30rem){.alternate{display:none}section{padding:.8rem}header,main,footer{padding-left:.65rem;padding-right:.65rem}.facts span{margin-left:0;display:block}
    th,td{padding-right:.6rem}.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
    .stack,.stack tbody,.stack tr,.stack td{display:block}.stack tr{border-bottom:1px solid var(--line);padding:.5rem 0}
    .stack td{border:0;padding:.1rem 0;overflow-wrap:anywhere}.stack .line{min-width:0}}
    @media print{section{break-inside:avoid}.script,.ready .script{display:none}}

    """
}
