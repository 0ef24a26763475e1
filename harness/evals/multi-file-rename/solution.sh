for file in src/api.js src/page.js src/index.js docs/api.md; do
  perl -pi -e 's/\bfetchUser\b/loadPerson/g' "$file"
done
