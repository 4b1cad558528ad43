/* All turn about the middle, the inner ones faster, and none falls into it. */
#include <cmath>

#include "scene.h"

namespace
{

const char signs[] = "@#*+.";
int fastest;

void turn(Body &it, double angle)
{
	double x = it.x * std::cos(angle) - it.y * std::sin(angle);
	it.y = it.x * std::sin(angle) + it.y * std::cos(angle);
	it.x = x;
}

double distance_of(const Body &it)
{
	return std::sqrt(it.x * it.x + it.y * it.y);
}

class Current final : public Scene
{
      public:
	const char *title() const override
	{
		return "4: galaxy";
	}

	void step(std::vector<Body> &bodies, double seconds) override
	{
		fastest++;
		for (Body &it : bodies) {
			double distance = distance_of(it) + 0.01, right = distance < 0.95 ? distance : 0.95;
			turn(it, seconds / right);
			it.x *= right / distance;
			it.y *= right / distance;
		}
	}

	void paint(const std::vector<Body> &bodies, Picture &picture) const override
	{
		for (const Body &it : bodies) {
			int rank = static_cast<int>(5 * distance_of(it));
			picture.dot(it.x, it.y, signs[rank > 4 ? 4 : rank]);
		}
	}
};

} // namespace

Scene *make_scene()
{
	return new Current;
}
