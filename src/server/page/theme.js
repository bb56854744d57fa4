// Sets the chosen theme before anything is painted. A plain script in <head>, so that the page does not flash; the
// button that changes the choice is in main.mjs. Without a choice the system's decides (style.css).
try {
  const chosen = localStorage.getItem('dgemma.theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's theme.
}
