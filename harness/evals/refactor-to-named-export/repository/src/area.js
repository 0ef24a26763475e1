export default function area(shape) {
  return shape.kind === 'circle' ? Math.PI * shape.radius ** 2 : shape.width * shape.height;
}
