// All that the page runs: a button that saves its data. Without it, nothing is missing that can be read.
export const SCRIPT = `
const button = document.getElementById('save');
button.hidden = false;
button.addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([document.getElementById('data').textContent], { type: 'application/json' }));
  link.download = button.dataset.file;
  link.click();
  URL.revokeObjectURL(link.href);
});
`;
