/* Native methods of Counter.java. What the virtual machine remembers of them are addresses. */
#include <jni.h>
#include <stdlib.h>

struct counter {
	const char *label;
	int (*step)(struct counter *);
	int count;
};

static const char label[] = "counter";
static jclass kept_class;
static jmethodID kept_method;
static JavaVM *machine;
static int calls;

static int step(struct counter *it)
{
	return VERSION * 1000 + ++it->count;
}

static int sum(const jint *values, int count)
{
	int total = 0;
	for (int i = 0; i < count; i++)
		total += values[i];
	return total;
}

JNIEXPORT jint JNICALL Java_Counter_byName(JNIEnv *env, jclass class, jintArray array)
{
	jint *values = (*env)->GetIntArrayElements(env, array, NULL);
	int found = VERSION * 1000 + sum(values, (*env)->GetArrayLength(env, array));
	(*env)->ReleaseIntArrayElements(env, array, values, JNI_ABORT);
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return found;
}

static jint registered(JNIEnv *env, jclass class, jint value)
{
	return VERSION * 1000 + value;
}

static jstring text(JNIEnv *env, jclass class)
{
	static const char digits[] = "0123456789";
	char found[] = {digits[VERSION], 0};
	return (*env)->NewStringUTF(env, found);
}

JNIEXPORT jboolean JNICALL Java_Counter_register(JNIEnv *env, jclass class)
{
	static const JNINativeMethod methods[] = {
		{"registered", "(I)I", (void *)registered},
		{"text", "()Ljava/lang/String;", (void *)text},
	};
	(*env)->GetJavaVM(env, &machine);
	kept_class = (*env)->NewGlobalRef(env, class);
	kept_method = (*env)->GetStaticMethodID(env, class, "called", "(I)V");
	return (*env)->RegisterNatives(env, class, methods, 2) == 0;
}

JNIEXPORT jlong JNICALL Java_Counter_open(JNIEnv *env, jclass class)
{
	struct counter *it = calloc(1, sizeof *it);
	it->label = label;
	it->step = step;
	return (jlong)it;
}

JNIEXPORT jint JNICALL Java_Counter_ask(JNIEnv *env, jclass class, jlong handle)
{
	struct counter *it = (struct counter *)handle;
	JNIEnv *here;
	(*machine)->GetEnv(machine, (void **)&here, JNI_VERSION_1_8);
	(*here)->CallStaticVoidMethod(here, kept_class, kept_method, VERSION);
	return it->step(it);
}

JNIEXPORT jboolean JNICALL Java_Counter_isKnown(JNIEnv *env, jclass class, jlong handle)
{
	struct counter *it = (struct counter *)handle;
	return it->label == label && it->step == step && calls > 0;
}
