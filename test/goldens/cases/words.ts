// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type Golden, type Group, lines } from "../golden.ts";

/** An expansion in ENV, where the variable v is "one.two.three", e is blank and u is not set. */
function expansion(name: string, word: string, more: Partial<Golden> = {}): Golden {
  return { name, dockerfile: lines("FROM scratch", "ENV v=one.two.three e=", `ENV r=${word}`), ...more };
}

/** Variables, quotes and escapes. Dockerfile reference, "Environment replacement" and "Parser directives". */
export const words: Group = {
  name: "words",
  cases: [
    expansion("a name ends where no letter, digit or underscore follows", "$v-$v.$v_x/$v"),
    expansion("braces end a name", "${v}_x"),
    expansion("a digit in front is a name of digits only", "$1abc"),
    expansion(":- stands in for a variable that is unset or blank", "${u:-a}${e:-b}${v:-c}"),
    expansion("- stands in for a variable that is unset", "${u-a}[${e-b}]${v-c}"),
    expansion(":+ stands in for a variable that has a value", "[${u:+a}][${e:+b}][${v:+c}]"),
    expansion("+ stands in for a variable that is set", "[${u+a}][${e+b}][${v+c}]"),
    expansion("a default may use variables, and defaults in it", "${u:-${e:-$v}}"),
    expansion(":? of a blank variable is an error at the word", "${e:?needed}"),
    expansion(":? may say more in quotes", '"${u:?a value is needed}"'),
    expansion("? of a blank variable is none", "[${e?needed}]"),
    expansion("? of an unset variable is an error at the word", "${u?needed}"),
    expansion("a space in braces ends the word", "${u:-a b}", {
      why: "words are split at spaces first, and braces keep nothing together",
    }),
    expansion("# takes the shortest prefix away", "${v#*.}"),
    expansion("## takes the longest prefix away", "${v##*.}"),
    expansion("% takes the shortest suffix away", "${v%.*}"),
    expansion("%% takes the longest suffix away", "${v%%.*}"),
    expansion("/ replaces the first match", "${v/./-}"),
    expansion("// replaces every match", "${v//./-}"),
    expansion("a replacement may be blank", "${v//t*o/}"),
    expansion("a question mark in a pattern is one character", "${v#???}"),
    {
      name: "an escaped star in a pattern is a star",
      dockerfile: lines("FROM scratch", "ENV s=a*b*c", "ENV r=${s#*\\*} t=${s#\\*}"),
    },
    expansion("a pattern that matches nothing changes nothing", "${v%x*}"),
    expansion("a pattern of an unset variable gives nothing", "[${u%.*}]"),
    expansion("a variable stands in a pattern", "${v%$e.three}"),
    expansion("another operator is an error at the word", "${v!x}"),
    expansion("braces that do not end are an error at the word", "${v:-x"),
    expansion("single quotes keep a dollar", "'$v'"),
    expansion("double quotes expand, and keep spaces", '"$v  $e|"'),
    expansion("a backslash keeps a dollar, in double quotes, too", '\\$v"\\$v"'),
    expansion("a backslash in double quotes is kept in front of other characters", '"a\\b\\"c"'),
    expansion("a backslash in single quotes is a backslash", "'a\\$v'"),
    expansion("a backslash outside of quotes keeps a space", "a\\ b"),
    expansion("quotes may begin inside of a word", "a'b c'd\"e f\""),
    expansion("a dollar at the end is a dollar", "cost$"),
    expansion("a dollar in front of a space in quotes is a dollar", '"$ 5"'),
    expansion("a quote that does not end is an error at the word", '"abc'),
    {
      name: "values of one ENV are those from before the instruction",
      dockerfile: lines("FROM scratch", "ENV a=1", "ENV a=2 b=$a c=${d:-unset} d=3"),
      why: "the whole instruction sees the environment of its start",
    },
    {
      name: "the backtick as escape character leaves backslashes alone",
      dockerfile: lines("# escape=`", "FROM scratch", "ENV a=C:\\dir b=`$a c=x` y", "LABEL l=one `", "  m=two"),
      differs: { buildah: "it escapes by backslashes all the same" },
    },
    {
      name: "an unknown directive ends the directives",
      dockerfile: lines("# unknown=1", "# escape=`", "FROM scratch", "ENV a=x\\ y"),
      why: "what follows the first line that is no directive is a comment, so that the backslash escapes",
    },
    {
      name: "a line goes on behind comments and blank lines",
      dockerfile: lines("FROM scratch", "ENV a=1 \\", "  # a comment", "", "  b=2 \\", "# another", "  c=3"),
    },
    {
      name: "a backslash and spaces at a line's end go on",
      dockerfile: "FROM scratch\nENV a=1 \\  \n  b=2\n",
    },
    {
      name: "lines may end like those of DOS",
      dockerfile: 'FROM scratch\r\nENV a=1 \\\r\n  b=2\r\nLABEL l="x"\r\n',
    },
    {
      name: "the old form of ENV takes the rest of the line",
      dockerfile: lines("FROM scratch", 'ENV a one  "two" three', "ENV b $a"),
    },
    {
      name: "keys of LABEL are expanded, too",
      dockerfile: lines("FROM scratch", "ARG NS=org.example", 'LABEL $NS.a=1 "$NS.b c"=2'),
    },
    {
      name: "variables are expanded where the reference says so",
      dockerfile: lines(
        "FROM scratch",
        "ENV W=/w U=5 P=80 V=/vol S=SIGINT L=label",
        "WORKDIR $W",
        "USER $U",
        "EXPOSE $P/tcp",
        "VOLUME $V",
        "STOPSIGNAL $S",
        "LABEL $L=$L",
      ),
    },
    {
      name: "CMD, ENTRYPOINT, HEALTHCHECK and SHELL are not expanded",
      dockerfile: lines(
        "FROM scratch",
        "ENV A=1",
        'SHELL ["/bin/$A", "-c"]',
        "CMD echo $A",
        'ENTRYPOINT ["$A"]',
        "HEALTHCHECK CMD test $A",
      ),
      differs: { buildah: "SHELL does not count for CMD" },
    },
    {
      name: "ARG in one line with several names, defaults from those before the line",
      dockerfile: lines("FROM scratch", "ARG a=1 b=${a:-unset} c", 'ENV r="$a $b ${c:-none}"'),
      why: "unlike ENV, each ARG of a line is declared before the next is read",
      differs: { buildah: "it reads all defaults first", buildkit20: "the older one reads all defaults first" },
    },
    {
      name: "the default of an ARG that is given is not read",
      dockerfile: lines("ARG B=${NOPE:?needed}", "FROM scratch", "ARG A=${NOPE:?needed} B", "ENV r=$A$B"),
      options: { args: { A: "1", B: "2" } },
    },
    {
      name: "the default of an ARG that is not given is read, and may be an error",
      dockerfile: lines("FROM scratch", "ARG A=${NOPE:?needed}"),
    },
    {
      name: "an ENV name without a value is an error of the ENV",
      dockerfile: lines("FROM scratch", "ENV a"),
    },
    {
      name: "of two values for a name in one ENV the last counts",
      dockerfile: lines("FROM scratch", "ENV a=1 a=2"),
    },
    {
      name: "keywords have no case",
      dockerfile: lines("from scratch", "Env a=1", "wOrKdIr /w", "lAbEl l=$a"),
    },
  ],
};
