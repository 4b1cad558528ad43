/* An extension of Node.js. What V8 remembers of it are addresses: of functions, of data, of finalisers.

   The declarations are those of Node-API, version 8 (js_native_api.h), which is the same in all releases. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
typedef void (*napi_finalize)(napi_env, void *, void *);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_create_int32(napi_env, int32_t, napi_value *);
int napi_get_value_int32(napi_env, napi_value, int32_t *);
int napi_create_external(napi_env, void *, napi_finalize, void *, napi_value *);
int napi_get_value_external(napi_env, napi_value, void **);
int napi_set_instance_data(napi_env, void *, napi_finalize, void *);
int napi_get_instance_data(napi_env, void **);

#define API __attribute__((visibility("default")))

struct box {
	const char *kind;
	int (*add)(struct box *, int);
	int total;
};

static const char kind[] = "box";
static int freed;

static int add(struct box *it, int value)
{
	return VERSION * 1000000 + (it->total += value);
}

static napi_value number(napi_env env, int value)
{
	napi_value found = NULL;
	napi_create_int32(env, value, &found);
	return found;
}

static void *data_of(napi_env env, napi_callback_info info, size_t count, napi_value *arguments)
{
	void *data = NULL;
	napi_get_cb_info(env, info, &count, arguments, NULL, &data);
	return data;
}

/* The function's own data is a constant of the library. */
static napi_value which(napi_env env, napi_callback_info info)
{
	return number(env, data_of(env, info, 0, NULL) == kind ? VERSION : -1);
}

static void free_box(napi_env env, void *box, void *hint)
{
	freed += hint == kind ? VERSION : 100;
	free(box);
}

static napi_value make(napi_env env, napi_callback_info info)
{
	struct box *it = calloc(1, sizeof *it);
	napi_value found = NULL;
	it->kind = kind;
	it->add = add;
	napi_create_external(env, it, free_box, (void *)kind, &found);
	return found;
}

static napi_value add_to(napi_env env, napi_callback_info info)
{
	napi_value arguments[2] = {NULL, NULL};
	struct box *it = NULL;
	int32_t value = 0;
	data_of(env, info, 2, arguments);
	napi_get_value_external(env, arguments[0], (void **)&it);
	napi_get_value_int32(env, arguments[1], &value);
	return number(env, it->kind == kind && it->add == add ? it->add(it, value) : -1);
}

static napi_value freed_boxes(napi_env env, napi_callback_info info)
{
	return number(env, freed);
}

static napi_value instance(napi_env env, napi_callback_info info)
{
	int *data = NULL;
	napi_get_instance_data(env, (void **)&data);
	return number(env, VERSION * 1000 + ++*data);
}

API napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	static const struct {
		const char *name;
		napi_callback function;
	} functions[] = {
		{"which", which}, {"make", make}, {"add", add_to}, {"freed", freed_boxes}, {"instance", instance},
	};
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		napi_value function = NULL;
		napi_create_function(env, functions[i].name, (size_t)-1, functions[i].function, (void *)kind,
				     &function);
		napi_set_named_property(env, exports, functions[i].name, function);
	}
	napi_set_instance_data(env, calloc(1, sizeof(int)), NULL, NULL);
	return exports;
}
