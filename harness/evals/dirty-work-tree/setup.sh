printf "export const title = (text) => text.trim().normalize('NFC');\n" > src/title.js
git add src/title.js
printf '# Notes\n\nHalf a thought\n' > notes.md
printf 'draft\n' > draft.txt
