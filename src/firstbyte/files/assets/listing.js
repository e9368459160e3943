{
const box = document.querySelector("[name=filter]");
const given = box.value.toLowerCase();
const narrow = () => {
  const wanted = box.value.toLowerCase();
  for (const row of document.querySelectorAll("tbody tr:not(.up)")) {
    row.hidden = !row.querySelector("a").textContent.toLowerCase().includes(wanted);
  }
};
box.addEventListener("input", () => {
  // What the page was filtered by already is not here any more.
  if (box.value.toLowerCase().includes(given)) narrow(); else box.form.submit();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement === document.body) { event.preventDefault(); box.focus(); }
});
const localize = () => {
  for (const time of document.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    const two = number => String(number).padStart(2, "0");
    time.textContent = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
  }
};
localize();
addEventListener("firstbyte:listing", () => { localize(); narrow(); }); // the upload page has put new rows in place
const tiles = document.getElementById("tiles");
try {
  tiles.checked = localStorage.getItem("firstbyte-tiles") === "1";
  tiles.addEventListener("change", () => localStorage.setItem("firstbyte-tiles", tiles.checked ? "1" : "0"));
} catch { /* a browser may forbid it: then it is not remembered */ }
}
