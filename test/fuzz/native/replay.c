/* Runs the kept inputs of a harness without libFuzzer, for any compiler: the files of the folders that are named. */
#include "fuzz.h"
#include <dirent.h>

static void run(const char *path)
{
  FILE *file = fopen(path, "r");
  static uint8_t bytes[1 << 20];
  if (file == NULL) return perror(path), exit(1);
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  uint8_t *exact = malloc(size == 0 ? 1 : size); /* so that a read beyond it is seen */
  memcpy(exact, bytes, size);
  fprintf(stderr, "%s\n", path);
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    DIR *folder = opendir(argv[i]);
    if (folder == NULL) return perror(argv[i]), 1;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
      if (*entry->d_name != '.') run(path);
    }
    closedir(folder);
  }
  return 0;
}
