/* A sun in the middle pulls. */
#include <cmath>

#include "scene.h"

namespace
{

class Current final : public Scene
{
      public:
	const char *title() const override
	{
		return "2: orbits";
	}

	void step(std::vector<Body> &bodies, double seconds) override
	{
		for (Body &it : bodies) {
			double distance = std::sqrt(it.x * it.x + it.y * it.y) + 0.05;
			double pull = 0.25 / (distance * distance * distance);
			it.vx -= pull * it.x * seconds;
			it.vy -= pull * it.y * seconds;
			it.x += it.vx * seconds;
			it.y += it.vy * seconds;
		}
	}

	void paint(const std::vector<Body> &bodies, Picture &picture) const override
	{
		for (const Body &it : bodies)
			picture.dot(it.x, it.y, '*');
		picture.dot(0, 0, '@');
	}
};

} // namespace

Scene *make_scene()
{
	return new Current;
}
