/* SPDX-License-Identifier: Apache-2.0 */
/* The style is all there is: no script, no font, no image from elsewhere. Colours are Okabe &
 * Ito's, which colour-blind readers can tell apart; q0 … q4 are ColorBrewer's blues, the first one
 * the most prominent on either background. */
#include "report/page.h"

#include "report/html.h"

static const char page_style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--soft:#5f6872;--line:#e1e5ea;"
    "--card:#f6f8fa;--blue:#0072b2;--orange:#c45500;--green:#009e73;--blue-soft:#0072b233;"
    "--q0:#08519c;--q1:#3182bd;--q2:#6baed6;--q3:#93c4e0;--q4:#bad5ea}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--soft:#9aa4ae;"
    "--line:#2c3238;--card:#1c2126;--blue:#56b4e9;--orange:#e69f00;--green:#2fbf92;--blue-soft:#"
    "56b4e933;"
    "--q0:#c6e6ff;--q1:#7cc4f0;--q2:#4292c6;--q3:#2a6496;--q4:#1f4262}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:16px/1.55 system-ui,-apple-system,Segoe UI,Roboto,sans-serif;"
    "font-variant-numeric:tabular-nums}"
    "main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}"
    "h1{font-size:2rem;margin:.1em 0;line-height:1.2;overflow-wrap:anywhere}"
    "h2{font-size:1.25rem;margin:0 0 .5em}h3{font-size:1rem;margin:1.5em 0 .4em}"
    "section{margin-top:44px}p{margin:.3em 0 .9em;max-width:70ch}"
    ".kicker{color:var(--soft);font-size:.85rem;letter-spacing:.04em;margin:0}"
    ".verdict{font-size:1.1rem;margin-top:.6em}.soft,small{color:var(--soft)}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;"
    "margin-top:20px}.tile{background:var(--card);border-radius:10px;padding:14px 16px}"
    ".tile span{display:block;color:var(--soft);font-size:.85rem}.tile b{font-size:1.5rem;"
    "font-weight:600}.tile small{display:block;font-size:.78rem;line-height:1.35}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}"
    "th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);"
    "white-space:nowrap}thead th{color:var(--soft);font-weight:500;font-size:.82rem}"
    "th[scope=row],thead th:first-child,thead "
    "th.text,td.text{text-align:left}th[scope=row]{font-weight:500;"
    "max-width:280px;overflow:hidden;text-overflow:ellipsis}td.text{white-space:normal;"
    "min-width:90px}.columns td:nth-child(4){min-width:200px}"
    ".best th,.best td{font-weight:650}.unused{color:var(--soft)}td small{display:block}"
    ".weight{position:relative;min-width:90px}.weight i{position:absolute;left:6px;bottom:4px;"
    "height:3px;background:var(--blue);border-radius:2px;max-width:calc(100% - 12px)}"
    ".bars td.bar{width:60%}.bars i{display:block;height:12px;background:var(--blue);"
    "border-radius:0 3px 3px 0;min-width:1px}.bars i.down{background:var(--orange)}"
    ".levels th,.levels td{padding:4px 6px}.levels th[scope=row]{max-width:110px}"
    ".levels td.bar{width:40%;min-width:56px}"
    ".findings{padding-left:1.1em;margin:0}.findings li{margin:.35em 0;overflow-wrap:anywhere}"
    ".alert::marker{color:var(--orange)}.alert b{color:var(--orange)}"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:24px}"
    "figure{margin:0;min-width:0}figure.wide{grid-column:1/-1}"
    ".figures>figure:only-child:not(.wide){max-width:508px}figcaption{color:var(--soft);"
    "font-size:.9rem;margin-bottom:6px}"
    ".matrix{width:auto}.matrix td,.matrix th{text-align:center}"
    ".hit{background:color-mix(in srgb,var(--blue) calc(var(--share)*.7),transparent)}"
    ".miss{background:color-mix(in srgb,var(--orange) calc(var(--share)*.7),transparent)}"
    "pre{background:var(--card);border-radius:8px;padding:12px 14px;overflow-x:auto;"
    "font-size:.88rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;"
    "font-size:.92rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "@media(max-width:480px){table{font-size:.82rem}th,td{padding:5px}}"
    "@media print{main{max-width:none;padding:0}section{break-inside:avoid-page}"
    "body{font-size:11px}.scroll{overflow:visible}}";

static const char chart_style[] =
    "svg{display:block;width:100%;height:auto}.spark{width:120px;height:28px}"
    ".spark rect,.plot .bar{fill:var(--blue)}.grid{stroke:var(--line)}"
    ".diagonal{stroke:var(--soft);stroke-dasharray:3 4}.line{fill:none;stroke:var(--blue);"
    "stroke-width:2}.dots{fill:none;stroke:var(--blue);stroke-width:4.5;stroke-linecap:round}"
    ".soft-dots{stroke-opacity:.45}"
    ".small{stroke-width:2.5}"
    ".pruned{stroke:var(--soft);stroke-opacity:.55}"
    ".alert-dots{stroke:var(--orange)}"
    ".best-line{stroke:var(--orange);stroke-width:2}"
    ".best-dot{stroke:var(--orange);stroke-width:8}"
    ".on-cells{stroke:var(--fg);stroke-opacity:.45;stroke-width:3}"
    ".span{fill:none;stroke:var(--blue);stroke-width:4}.thin{stroke-width:1.5}"
    ".span.pruned{stroke:var(--soft)}.span.alert-dots{stroke:var(--orange)}"
    ".running{stroke:var(--green)}"
    ".curve{fill:none;stroke:var(--blue);stroke-opacity:.35}.curve.pruned{stroke:var(--soft)}"
    ".trace{fill:none;stroke-opacity:.55}.axis{stroke:var(--fg);stroke-width:1.2}"
    ".label.strong{fill:var(--fg);font-weight:600}"
    ".q0{stroke:var(--q0)}.q1{stroke:var(--q1)}.q2{stroke:var(--q2)}.q3{stroke:var(--q3)}"
    ".q4{stroke:var(--q4)}"
    ".l0{fill:color-mix(in srgb,var(--blue) 92%,transparent)}"
    ".l1{fill:color-mix(in srgb,var(--blue) 76%,transparent)}"
    ".l2{fill:color-mix(in srgb,var(--blue) 61%,transparent)}"
    ".l3{fill:color-mix(in srgb,var(--blue) 48%,transparent)}"
    ".l4{fill:color-mix(in srgb,var(--blue) 36%,transparent)}"
    ".l5{fill:color-mix(in srgb,var(--blue) 25%,transparent)}"
    ".l6{fill:color-mix(in srgb,var(--blue) 15%,transparent)}"
    ".l7{fill:color-mix(in srgb,var(--blue) 6%,transparent)}"
    ".n0{fill:color-mix(in srgb,var(--orange) 92%,transparent)}"
    ".n1{fill:color-mix(in srgb,var(--orange) 61%,transparent)}"
    ".n2{fill:color-mix(in srgb,var(--orange) 36%,transparent)}"
    ".n3{fill:color-mix(in srgb,var(--orange) 15%,transparent)}"
    ".density{fill:var(--soft);fill-opacity:.3}.zero{stroke:var(--soft);stroke-width:1}"
    ".band{fill:none;stroke:var(--blue);stroke-width:1;stroke-opacity:.45}"
    ".wide-chart svg{min-width:680px}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px "
    "8px;align-items:center;color:var(--soft);font-size:.9rem}"
    ".key{width:10px;height:10px;border-radius:5px;background:var(--blue)}"
    ".key:not(:first-child){margin-left:10px}.key-pruned{background:var(--soft)}"
    ".key-alert{background:var(--orange)}.key-running{background:var(--green)}"
    ".tick,.label{fill:var(--soft);font-size:11px}";

void qn_page_begin(qn_str *out, const char *title)
{
    qn_str_add(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                    "style-src 'unsafe-inline'\"><title>Quern: ");
    qn_html_text(out, title);
    qn_str_add(out, "</title><style>");
    qn_str_add(out, page_style);
    qn_str_add(out, chart_style);
    qn_str_add(out, "</style></head><body><main>");
}

void qn_page_end(qn_str *out)
{
    qn_str_add(out, "</main></body></html>\n");
}

void qn_page_tile(qn_str *out, const char *label, double value, const char *below)
{
    qn_str_add(out, "<div class=\"tile\"><span>");
    qn_html_text(out, label);
    qn_str_add(out, "</span><b>");
    qn_html_number(out, value);
    qn_str_add(out, "</b><small>");
    qn_html_text(out, below);
    qn_str_add(out, "</small></div>");
}
