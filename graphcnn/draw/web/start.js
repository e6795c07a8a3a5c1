// The first sight of the page.

stepTo(null);
showFrame(0);
open();
fromAddress();
addEventListener("resize", () => chosen?.element && reveal([chosen.element]));
