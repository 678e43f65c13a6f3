/* program.c - a test with a main() of its own that ends as it is told */
#include <stdlib.h>
#include <string.h>

static void *volatile lost;

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "leak") == 0) {
        lost = malloc(100);
        lost = NULL;
        return 0;
    }
    return count == 2 ? atoi(arguments[1]) : 2;
}
