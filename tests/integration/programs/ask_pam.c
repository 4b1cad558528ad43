/* Authenticates as it is told: "oN" starts transaction N, "aN PASSWORD" and "cN" are steps in it, "eN" ends it. PAM
 * loads its modules when the first step comes, and unloads them at the end. */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char password[64];

static int answer(int count, const struct pam_message **messages, struct pam_response **responses, void *unused)
{
	(void)unused;
	(void)messages;
	*responses = calloc(count, sizeof **responses);
	for (int index = 0; index < count; index++)
		(*responses)[index].resp = strdup(password);
	return PAM_SUCCESS;
}

int main(int count, char **arguments)
{
	const struct pam_conv conversation = {answer, NULL};
	static pam_handle_t *handles[10];
	char line[64];
	int status = PAM_SUCCESS;

	while (count == 2 && fgets(line, sizeof line, stdin)) {
		pam_handle_t **handle = &handles[line[1] - '0'];

		switch (line[0]) {
		case 'o':
			status = pam_start_confdir("guests", "guest", &conversation, arguments[1], handle);
			break;
		case 'a':
			sscanf(line, "a%*c %63s", password);
			pam_set_item(*handle, PAM_AUTHTOK, NULL);
			status = pam_authenticate(*handle, 0);
			break;
		case 'c':
			status = pam_setcred(*handle, PAM_ESTABLISH_CRED);
			break;
		case 'e':
			status = pam_end(*handle, status);
			break;
		}
		printf("%.2s: %s\n", line, pam_strerror(*handle, status));
		fflush(stdout);
	}
	return 0;
}
