cat > src/slug.js <<'EOF'
/** A text as a part of a URL. */
export function slug(text) {
  const plain = text.normalize('NFD').replace(/\p{Mn}/gu, '');
  return plain.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
}
EOF
git commit -q -m "Letters with marks keep their letter" -- src/slug.js
