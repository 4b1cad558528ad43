/* A queue for several threads, in variables that who includes this has: queue, first, count, queue_lock, has_room,
 * has_items. What puts an item signals before or after it unlocks, by version. */
void put(long item)
{
	pthread_mutex_lock(&queue_lock);
	while (count == PLACES)
		pthread_cond_wait(&has_room, &queue_lock);
	queue[(first + count) % PLACES] = item;
	count++;
#if VERSION % 2
	pthread_cond_signal(&has_items);
	pthread_mutex_unlock(&queue_lock);
#else
	pthread_mutex_unlock(&queue_lock);
	pthread_cond_signal(&has_items);
#endif
}

long take(void)
{
	pthread_mutex_lock(&queue_lock);
	while (!count)
		pthread_cond_wait(&has_items, &queue_lock);
	long item = queue[first % PLACES];
	first++;
	count--;
	pthread_cond_signal(&has_room);
	pthread_mutex_unlock(&queue_lock);
	return item;
}
