/* What the program has and what its library does with it: the bodies are the program's, how they move and look is the
 * library's. The program makes one Scene, when it starts, and calls that one for as long as it runs. */
#ifndef SCENE_H
#define SCENE_H

#include <string>
#include <vector>

struct Body {
	double x, y, vx, vy; /* from -1 to 1, and per second */
};

/* Rows of characters, with (-1, -1) at the bottom left and (1, 1) at the top right. */
class Picture
{
      public:
	Picture(int width, int height) : width_(width), rows_(height, std::string(width, ' '))
	{
	}

	void dot(double x, double y, char sign)
	{
		int column = static_cast<int>((x + 1) / 2 * width_);
		int row = static_cast<int>((1 - y) / 2 * static_cast<double>(rows_.size()));
		if (column >= 0 && column < width_ && row >= 0 && row < static_cast<int>(rows_.size()))
			rows_[row][column] = sign;
	}

	const std::vector<std::string> &rows() const
	{
		return rows_;
	}

      private:
	int width_;
	std::vector<std::string> rows_;
};

class Scene
{
      public:
	virtual ~Scene() = default;
	virtual const char *title() const = 0;
	virtual void step(std::vector<Body> &bodies, double seconds) = 0;
	virtual void paint(const std::vector<Body> &bodies, Picture &picture) const = 0;
};

extern "C" Scene *make_scene();

#endif
