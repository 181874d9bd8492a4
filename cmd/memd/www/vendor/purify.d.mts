declare const createDOMPurify: any;
export default createDOMPurify;
