// The search: pages that have every word, those that have them in their title first.
const box = document.getElementById('search');
const found = document.getElementById('found');
const plain = PAGES.map(([title, url, lead, text]) => ({
  title, url, lead, text, head: `${title} ${lead}`.toLowerCase(), all: `${title} ${lead} ${text}`.toLowerCase(),
}));

function around(page, word) {
  const at = page.text.toLowerCase().indexOf(word);
  if (at < 0) return page.lead.slice(0, 120);
  return `… ${page.text.slice(Math.max(0, at - 40), at + 80)} …`;
}

function show() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const score = (page) => words.filter((w) => page.head.includes(w)).length;
  const hits = words.length ? plain.filter((p) => words.every((w) => p.all.includes(w))) : [];
  hits.sort((a, b) => score(b) - score(a));
  found.replaceChildren(...hits.slice(0, 12).map((page) => {
    const item = document.createElement('li');
    const link = document.createElement('a');
    const text = document.createElement('small');
    link.href = box.dataset.root + page.url;
    link.textContent = page.title;
    text.textContent = around(page, words[0]);
    item.append(link, text);
    return item;
  }));
  if (words.length && !hits.length) {
    const item = document.createElement('li');
    item.textContent = 'No page has these words.';
    found.append(item);
  }
  found.hidden = !words.length;
}

box.addEventListener('input', show);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { box.value = ''; show(); }
});
const all = document.querySelector('details.all');
if (matchMedia('(max-width: 800px)').matches) all.open = false;
