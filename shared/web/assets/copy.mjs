// Buttons that copy the text of another element, named by data-copy. They show only where they work.

async function copy(source, status) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    status.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(source);
    status.textContent = 'Selected: copy it with your keyboard or the menu';
  }
}

export function enableCopying() {
  for (const button of document.querySelectorAll('[data-copy]')) {
    const source = document.getElementById(button.dataset.copy);
    const status = button.parentElement.querySelector('[role=status]');
    button.addEventListener('click', () => copy(source, status));
    button.hidden = false;
  }
}
