#include <stdio.h>
#include <sys/resource.h>

#include "loadgen.h"

static void print_text(const char *text) {
  putchar('"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 32 || c > 126) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

static void print_times(const char *name, const struct histogram *h, bool last) {
  printf("\"%s\":{\"count\":%llu,\"min\":%.4f,\"mean\":%.4f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f}%s", name,
         (unsigned long long)h->count, (double)h->min / 1e6, h->count ? (double)h->sum / (double)h->count / 1e6 : 0,
         (double)histogram_at(h, 0.5) / 1e6, (double)histogram_at(h, 0.9) / 1e6, (double)histogram_at(h, 0.99) / 1e6,
         (double)histogram_at(h, 0.999) / 1e6, (double)h->max / 1e6, last ? "" : ",");
}

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void report(double seconds) {
  const struct tally *t = &tally;
  double per = seconds > 0 ? seconds : 1;
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("{\"target\":\"%s\",\"protocol\":\"%s\",\"loop\":\"%s\",\"clients\":%u,\"seconds\":%.4f,", plan.target_text, plan.pop3 ? "pop3" : "smtp",
         plan.rate > 0 ? "open" : "closed", plan.clients, seconds);
  printf("\"sessions\":%llu,\"logins\":%llu,\"refusedLogins\":%llu,\"messages\":%llu,\"octets\":%llu,", (unsigned long long)t->sessions,
         (unsigned long long)t->logins, (unsigned long long)t->refused_logins, (unsigned long long)t->messages, (unsigned long long)t->octets);
  printf("\"perSecond\":{\"sessions\":%.3f,\"logins\":%.3f,\"messages\":%.3f,\"octets\":%.1f},", (double)t->sessions / per, (double)t->logins / per,
         (double)t->messages / per, (double)t->octets / per);
  printf("\"all\":{\"started\":%llu,\"sessions\":%llu,\"logins\":%llu,\"refusedLogins\":%llu,\"messages\":%llu,\"late\":%llu,\"held\":%u},",
         (unsigned long long)t->started, (unsigned long long)t->all_sessions, (unsigned long long)t->all_logins,
         (unsigned long long)t->all_refused_logins, (unsigned long long)t->all_messages, (unsigned long long)t->late, t->most_held);
  printf("\"handshakes\":%llu,\"resumed\":%llu,", (unsigned long long)t->handshakes, (unsigned long long)t->resumed);
  uint64_t errors = 0;
  printf("\"errors\":{");
  for (int i = 0; i < ERRORS; i++) {
    printf("\"%s\":%llu,", error_names[i], (unsigned long long)t->errors[i]);
    errors += t->errors[i];
  }
  printf("\"total\":%llu},\"samples\":[", (unsigned long long)errors);
  for (unsigned i = 0; i < t->sample_count; i++) {
    const struct sample *s = &t->samples[i];
    printf("%s{\"kind\":\"%s\",\"at\":\"%s\",\"count\":%llu,\"text\":", i ? "," : "", error_names[s->kind], step_names[s->at], (unsigned long long)s->count);
    print_text(s->text);
    printf("}");
  }
  printf("],\"ms\":{");
  print_times("banner", &t->banner, false);
  print_times("login", &t->login, false);
  print_times("session", &t->session, false);
  print_times("message", &t->message, true);
  printf("},\"longestSilence\":%.4f,\"cpu\":{\"user\":%.4f,\"system\":%.4f}}\n", (double)t->longest_silence / 1e6, seconds_of(used.ru_utime), seconds_of(used.ru_stime));
}
