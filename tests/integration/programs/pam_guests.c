/* A PAM module that admits who gives the version's password. It keeps its data in the handle from step to step. */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING(it) #it
#define VALUE(it) STRING(it)

static int steps;

static void forget(pam_handle_t *handle, void *data, int status)
{
	(void)handle;
	(void)status;
	printf("forgotten %s in %d\n", (char *)data, VERSION);
	free(data);
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int count, const char **arguments)
{
	const char *password = NULL;

	(void)flags;
	(void)count;
	(void)arguments;
	if (pam_get_authtok(handle, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS)
		return PAM_AUTH_ERR;
	printf("step %d, version %d\n", ++steps, VERSION);
	if (strcmp(password, "word-" VALUE(VERSION)) != 0)
		return PAM_AUTH_ERR;
	return pam_set_data(handle, "guest", strdup(password), forget);
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int count, const char **arguments)
{
	const void *data = NULL;

	(void)flags;
	(void)count;
	(void)arguments;
	pam_get_data(handle, "guest", &data);
	printf("step %d, version %d, of %s\n", ++steps, VERSION, data ? (const char *)data : "nobody");
	return PAM_SUCCESS;
}
