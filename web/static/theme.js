// The chosen colours, set before anything is drawn.
try {
  const theme = localStorage.getItem("sam.theme");
  if (theme === "dark" || theme === "light") {
    document.documentElement.dataset.theme = theme;
  }
} catch {
  // Storage is refused: the system's colours it is.
}
