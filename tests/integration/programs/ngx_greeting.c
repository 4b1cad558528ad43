/* A module of nginx: the directive "greeting" makes a location answer with the version of its handler, of a function
 * that this calls by name, and of a header filter, and how many times this process was asked. */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static ngx_http_output_header_filter_pt next_header_filter;
static ngx_uint_t asked;

int greeting_version(void)
{
	return VERSION;
}

static ngx_int_t add_header(ngx_http_request_t *request)
{
	ngx_table_elt_t *header = ngx_list_push(&request->headers_out.headers);

	if (!header)
		return NGX_ERROR;
	header->hash = 1;
	ngx_str_set(&header->key, "X-Filter");
	header->value.data = (u_char *)(VERSION == 1 ? "1" : VERSION == 2 ? "2" : "3");
	header->value.len = 1;
	return next_header_filter(request);
}

static ngx_int_t handle(ngx_http_request_t *request)
{
	ngx_buf_t *buffer = ngx_create_temp_buf(request->pool, 100);
	ngx_chain_t chain = {buffer, NULL};
	ngx_int_t status;

	if (!buffer)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	buffer->last = ngx_slprintf(buffer->pos, buffer->end, "handler %d, called %d, asked %ui in %P\n", VERSION,
				    greeting_version(), ++asked, ngx_pid);
	buffer->last_buf = 1;
	request->headers_out.status = NGX_HTTP_OK;
	request->headers_out.content_length_n = buffer->last - buffer->pos;
	status = ngx_http_send_header(request);
	return status == NGX_ERROR || status > NGX_OK ? status : ngx_http_output_filter(request, &chain);
}

static char *set_handler(ngx_conf_t *configuration, ngx_command_t *command, void *unused)
{
	ngx_http_core_loc_conf_t *location;

	(void)command;
	(void)unused;
	location = ngx_http_conf_get_module_loc_conf(configuration, ngx_http_core_module);
	location->handler = handle;
	return NGX_CONF_OK;
}

static ngx_int_t add_filter(ngx_conf_t *configuration)
{
	(void)configuration;
	next_header_filter = ngx_http_top_header_filter;
	ngx_http_top_header_filter = add_header;
	return NGX_OK;
}

static void say_end(ngx_cycle_t *cycle)
{
	ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "greeting ends in version %d", VERSION);
}

static ngx_command_t commands[] = {
	{ngx_string("greeting"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_handler, 0, 0, NULL}, ngx_null_command};

static ngx_http_module_t context = {NULL, add_filter, NULL, NULL, NULL, NULL, NULL, NULL};

ngx_module_t ngx_http_greeting_module = {NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE,
					 NULL,		NULL,	  NULL,	    NULL,
					 NULL,		say_end,  NULL,	    NGX_MODULE_V1_PADDING};

ngx_module_t *ngx_modules[] = {&ngx_http_greeting_module, NULL};
char *ngx_module_names[] = {"ngx_http_greeting_module", NULL};
char *ngx_module_order[] = {NULL};
