/* Shows bodies as its library moves and paints them. On a terminal, the picture moves; elsewhere, each tenth is
 * printed.
 *
 * Usage: orbits [PICTURES [PAUSE_IN_MS]] */
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>

#include "scene.h"

static std::vector<Body> some_bodies(int count)
{
	std::vector<Body> bodies;
	for (int number = 0; number < count; number++) {
		double angle = 2.4 * number, distance = 0.25 + 0.65 * number / count;
		bodies.push_back({distance * std::cos(angle), distance * std::sin(angle), -0.5 * std::sin(angle),
				  0.5 * std::cos(angle)});
	}
	return bodies;
}

int main(int count, char **arguments)
{
	long pictures = count > 1 ? std::atol(arguments[1]) : -1, pause = count > 2 ? std::atol(arguments[2]) : 40;
	bool moves = isatty(STDOUT_FILENO);
	std::unique_ptr<Scene> scene(make_scene());
	std::vector<Body> bodies = some_bodies(40);
	if (moves)
		std::cout << "\033[2J";
	for (long number = 0; number != pictures; number++) {
		scene->step(bodies, 0.02);
		if (moves || number % 10 == 0) {
			Picture picture(64, 20);
			scene->paint(bodies, picture);
			std::cout << (moves ? "\033[H" : "") << scene->title() << ", picture " << number
				  << (moves ? "\033[K\n" : "\n");
			for (const std::string &row : picture.rows())
				std::cout << '|' << row << "|\n";
			std::cout << std::flush;
		}
		std::this_thread::sleep_for(std::chrono::milliseconds(pause));
	}
	return 0;
}
