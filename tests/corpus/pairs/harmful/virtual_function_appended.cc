#include "fill.h"

#include <cstdlib>
#include <cstring>
#define API __attribute__((visibility("default"), noinline))
struct B{virtual ~B(){} virtual int a(int x){return x+1;} virtual int b(int x){return x*2;}
#ifdef NEW
virtual int c(int x){return x-9;}
#endif
};
struct D:B{long k;D(long q):k(q){} int a(int x) override{return x+(int)k;} int b(int x) override{return x*(int)k;}
#ifdef NEW
int c(int x) override{return x-(int)k;}
#endif
};
extern "C"{
API void*d_new(long k){return new D(k);}
API int d_run(void*p,int x){B*b=(B*)p;
#ifdef NEW
x=b->c(x);
#endif
return b->a(x)+b->b(x);}
API void d_del(void*p){delete (B*)p;}
API int fa(const char*s){int n=0;while(*s){if(*s=='a')n+=3;else if(*s>'m')n-=1;s++;}return n;}
API long fb(long *v,int n){long t=0;for(int i=0;i<n;i++){t+=v[i]*7;if(t>1000)t-=v[i]/3;}return t;}
API void fc(char *d,const char *s,int n){for(int i=0;i<n;i++){d[i]=s[n-1-i];}d[n]=0;}
}
