/* Everything falls, and bounces. */
#include "scene.h"

namespace
{

class Current final : public Scene
{
      public:
	const char *title() const override
	{
		return "1: rain";
	}

	void step(std::vector<Body> &bodies, double seconds) override
	{
		for (Body &it : bodies) {
			it.vy -= 1.0 * seconds;
			it.x += it.vx * seconds;
			it.y += it.vy * seconds;
			if (it.y < -0.95)
				it.y = -0.95, it.vy = -0.95 * it.vy;
			if (it.x < -0.95 || it.x > 0.95)
				it.vx = -it.vx;
		}
	}

	void paint(const std::vector<Body> &bodies, Picture &picture) const override
	{
		for (const Body &it : bodies)
			picture.dot(it.x, it.y, 'o');
	}
};

} // namespace

Scene *make_scene()
{
	return new Current;
}
