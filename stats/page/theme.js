// Light, dark or as the system is set. It must run before the first paint, so it is not a module.
(function () {
  'use strict';
  const kOrder = ['auto', 'light', 'dark'];
  const kKey = 'pgsteer-theme';
  let theme = 'auto';
  try {
    theme = localStorage.getItem(kKey) || 'auto';
  } catch (e) {
    // Storage is not allowed: the choice is lost when the page is closed.
  }
  if (!kOrder.includes(theme)) theme = 'auto';

  function apply() {
    if (theme === 'auto') {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = theme;
    }
    const button = document.getElementById('theme');
    if (!button) return;
    button.textContent = 'Theme: ' + theme;
    button.title = 'Light, dark, or as the system is set (auto)';
  }

  apply();
  document.addEventListener('DOMContentLoaded', function () {
    apply();
    document.getElementById('theme').addEventListener('click', function () {
      theme = kOrder[(kOrder.indexOf(theme) + 1) % kOrder.length];
      try {
        localStorage.setItem(kKey, theme);
      } catch (e) {
        // As above.
      }
      apply();
    });
  });
})();
