/* Shapes behind an abstract class: what a C++ library keeps in objects and tables. */
#include <cstdio>

struct Named {
	long tag = 77;
};

class Shape {
public:
	virtual ~Shape() {}
	virtual long area() const = 0;
	virtual long edge() const = 0;
	long weight = 5;
	int color = 6;
};

class Square : public Shape {
public:
	explicit Square(long side) : side(side) {}
	long area() const override { return side * side; }
	long edge() const override { return 4 * side; }
	long side;
	long count = 3;
};

class Box : public Shape {
public:
	Box(long width, long height) : width(width), height(height) {}
	long area() const override { return width * height; }
	long edge() const override { return 2 * (width + height); }
	long width, height;
};

static long made;
static long deleted;

extern "C" Shape *shape_make(long width, long height)
{
	made++;
	if (width == height)
		return new Square(width);
	return new Box(width, height);
}

extern "C" void shape_delete(Shape *shape)
{
	deleted++;
	delete shape;
}

extern "C" long shape_area(const Shape *shape)
{
	return shape->area();
}

extern "C" long shape_edge(const Shape *shape)
{
	return shape->edge();
}

extern "C" long shape_look(const Shape *shape)
{
	return shape->weight * 100 + shape->color;
}

extern "C" long shape_count(const Square *square)
{
	return square->count;
}

extern "C" long shape_made(void)
{
	return made * 100 + deleted;
}
