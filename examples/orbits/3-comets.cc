/* The same, with tails: the picture says how fast each one is. */
#include <cmath>

#include "scene.h"

namespace
{

const char signs[] = ".:+*O";
int fastest; /* new in this version, which lives on in later ones */

int rank_of(const Body &it)
{
	int rank = static_cast<int>(4 * std::sqrt(it.vx * it.vx + it.vy * it.vy));
	return rank > 4 ? 4 : rank;
}

class Current final : public Scene
{
      public:
	const char *title() const override
	{
		return "3: comets";
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
			if (rank_of(it) > fastest)
				fastest = rank_of(it);
		}
	}

	void paint(const std::vector<Body> &bodies, Picture &picture) const override
	{
		for (const Body &it : bodies) {
			for (int part = 3; part > 0; part--)
				picture.dot(it.x - 0.05 * part * it.vx, it.y - 0.05 * part * it.vy, '.');
			picture.dot(it.x, it.y, signs[rank_of(it)]);
		}
		picture.dot(0, 0, '@');
	}
};

} // namespace

Scene *make_scene()
{
	return new Current;
}
